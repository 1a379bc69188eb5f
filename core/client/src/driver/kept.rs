//! Between the agent's messages and the store's.

use aldis_agent::{
    MessageFailure, NewMessage, OutgoingState, ReceiptFor, ReceiptKind, ReceiptsWanted, SendRefused,
    StoredMessage, UnknownReason,
};
use aldis_sip::{StatusCode, Uri};
use aldis_store::{Kind, Outgoing, ReceiptRequest, State};
use std::time::Duration;

pub(super) fn seconds(wall: Duration) -> i64 {
    i64::try_from(wall.as_secs()).unwrap_or(i64::MAX)
}

pub(super) fn kept_kind(kind: ReceiptKind) -> aldis_store::ReceiptKind {
    match kind {
        ReceiptKind::Delivered => aldis_store::ReceiptKind::Delivered,
        ReceiptKind::Displayed => aldis_store::ReceiptKind::Displayed,
        ReceiptKind::Failed => aldis_store::ReceiptKind::Failed,
    }
}

/// A state as it is kept; receipts are kept as what they are.
pub(super) fn kept_state(state: &OutgoingState) -> Option<State> {
    let code = |status: &Option<StatusCode>| status.map(|status| status.code());
    Some(match state {
        OutgoingState::Queued => State::Queued,
        OutgoingState::Sending => State::Sending,
        OutgoingState::Accepted { status, .. } => State::Accepted { status: status.code() },
        OutgoingState::Delivered | OutgoingState::Displayed => return None,
        OutgoingState::Failed { why, status } => State::Failed { status: code(status), why: why.to_string() },
        OutgoingState::Unknown { why, status } => {
            State::Unknown { status: code(status), why: why.to_string() }
        }
    })
}

/// A kept state as it is told. Why something failed is kept in words alone.
pub(super) fn told_state(state: &State) -> OutgoingState {
    let code = |status: &Option<u16>| status.and_then(StatusCode::new);
    match state {
        State::Queued => OutgoingState::Queued,
        State::Sending => OutgoingState::Sending,
        State::Accepted { status } => OutgoingState::Accepted {
            status: StatusCode::new(*status).unwrap_or(StatusCode::OK),
            receipts: false,
        },
        State::Failed { status, why } => {
            OutgoingState::Failed { why: MessageFailure::Elsewhere(why.clone()), status: code(status) }
        }
        State::Unknown { status, .. } => {
            OutgoingState::Unknown { why: UnknownReason::Stopped, status: code(status) }
        }
    }
}

pub(super) fn to_store(message: &StoredMessage) -> Outgoing {
    let wants = message.message.receipts();
    Outgoing {
        id: message.id.to_string(),
        call_id: message.call_id.clone(),
        from_tag: message.from_tag.clone(),
        to: message.message.to().to_string(),
        kind: if message.message.is_receipt() { Kind::Receipt } else { Kind::Message },
        content_type: message.message.content_type().to_owned(),
        body: message.message.body().to_vec(),
        expires: message.message.expires(),
        created_at: message.date,
        wants: wants.any().then(|| ReceiptRequest {
            delivered: wants.delivery,
            displayed: wants.display,
            failed: wants.failure,
            ..ReceiptRequest::default()
        }),
    }
}

pub(super) fn from_store(kept: &Outgoing, may_have_left: bool) -> Result<StoredMessage, SendRefused> {
    let mut message = NewMessage::new(&kept.to, &kept.content_type, kept.body.clone())?;
    if let Some(expires) = kept.expires {
        message = message.with_expires(expires);
    }
    if let Some(wants) = &kept.wants {
        message = message.with_receipts(ReceiptsWanted {
            delivery: wants.delivered,
            failure: wants.failed,
            display: wants.displayed,
        });
    }
    if kept.kind == Kind::Receipt {
        message = message.as_receipt();
    }
    Ok(StoredMessage {
        id: kept.id.parse().map_err(|_| SendRefused::ContentType(kept.id.clone()))?,
        call_id: kept.call_id.clone(),
        from_tag: kept.from_tag.clone(),
        date: kept.created_at,
        may_have_left,
        leaves_soon: false,
        message,
    })
}

/// What a receipt for a message needs to say.
pub(super) fn receipt_for(from: Uri<'static>, message_id: String, wants: &ReceiptRequest) -> ReceiptFor {
    ReceiptFor {
        from,
        message_id,
        date_time: wants.date_time.clone(),
        recipient: wants.recipient.clone(),
        original_recipient: wants.original_recipient.clone(),
        route: wants.route.clone(),
    }
}
