"""Registers, sends one message, and shows what comes: chat.py LIBRARY MY-ADDRESS THEIR-ADDRESS TEXT

ALDIS_PASSWORD is the password; ALDIS_ADDRESS (host:port) and ALDIS_ROOTS (a PEM file) serve a server of your own.
"""

import ctypes
import os
import pathlib
import sys
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_uint64, c_void_p


def load(path):
    aldis = ctypes.CDLL(path)
    functions = {
        "phone_start": (c_int, [c_char_p] * 4 + [POINTER(c_void_p)] * 2),
        "phone_register": (c_int, [c_void_p, c_int64, POINTER(c_void_p)]),
        "phone_send": (c_int, [c_void_p, c_char_p, c_char_p, c_int64, POINTER(c_void_p)]),
        "phone_next_message": (c_void_p, [c_void_p, c_uint64, c_int64]),
        "phone_shut_down": (None, [c_void_p]),
        "phone_free": (None, [c_void_p]),
        "message_sequence": (c_uint64, [c_void_p]),
        "message_from": (c_char_p, [c_void_p]),
        "message_text": (c_char_p, [c_void_p]),
        "message_free": (None, [c_void_p]),
        "text_free": (None, [c_void_p]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(aldis, "aldis_" + name)
        function.restype, function.argtypes = result, arguments
    return aldis


def main(library, own, other, text):
    aldis, phone, explanation = load(library), c_void_p(), c_void_p()

    def check(result):
        if result:
            words = ctypes.cast(explanation, c_char_p).value or b""
            print(f"failed ({result}): {words.decode()}", file=sys.stderr)
            aldis.aldis_text_free(explanation)
            aldis.aldis_phone_free(phone)
            sys.exit(result)

    roots = os.environ.get("ALDIS_ROOTS")
    check(
        aldis.aldis_phone_start(
            own.encode(),
            os.environb.get(b"ALDIS_PASSWORD"),
            os.environb.get(b"ALDIS_ADDRESS"),
            pathlib.Path(roots).read_bytes() if roots else None,
            byref(phone),
            byref(explanation),
        )
    )
    check(aldis.aldis_phone_register(phone, 10_000, byref(explanation)))
    check(aldis.aldis_phone_send(phone, other.encode(), text.encode(), 10_000, byref(explanation)))
    last = 0
    while message := aldis.aldis_phone_next_message(phone, last, 2_000):
        print(aldis.aldis_message_from(message).decode(), (aldis.aldis_message_text(message) or b"").decode(), sep=": ")
        last = aldis.aldis_message_sequence(message)
        aldis.aldis_message_free(message)
    aldis.aldis_phone_shut_down(phone)
    aldis.aldis_phone_free(phone)


if __name__ == "__main__":
    main(*sys.argv[1:])
