//! A throw-away certificate authority and every kind of bad certificate.
