"""Registers, sends one message, shows what comes and what was said before: chat.py LIBRARY MY-ADDRESS THEIR-ADDRESS TEXT

ALDIS_PASSWORD is the password, ALDIS_STORE a file in which messages outlive the program; ALDIS_ADDRESS (host:port) and
ALDIS_ROOTS (a PEM file) serve a server of your own.
"""

import ctypes
import os
import pathlib
import sys
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_uint64, c_void_p

# AldisEventKind and AldisState.
COMPOSING, DELIVERED, DISPLAYED, NONE = 6, 3, 4, 7


class Config(ctypes.Structure):
    """AldisConfig."""

    _fields_ = [
        ("address_of_record", c_char_p),
        ("password", c_char_p),
        ("address", c_char_p),
        ("additional_roots", c_char_p),
        ("store_file", c_char_p),
        ("send_display_receipts", c_bool),
    ]


def load(path):
    aldis = ctypes.CDLL(path)
    functions = {
        "phone_start": (c_int, [POINTER(Config)] + [POINTER(c_void_p)] * 2),
        "phone_register": (c_int, [c_void_p, c_int64, POINTER(c_void_p)]),
        "phone_composing": (c_int, [c_void_p, c_char_p]),
        "phone_send": (c_int, [c_void_p, c_char_p, c_char_p, c_bool, c_int64, POINTER(c_void_p)]),
        "phone_next_message": (c_void_p, [c_void_p, c_uint64, c_int64]),
        "phone_displayed": (c_int, [c_void_p, c_void_p, POINTER(c_void_p)]),
        "phone_next_event": (c_void_p, [c_void_p, c_uint64, c_int64]),
        "phone_history": (c_int, [c_void_p, c_char_p, c_uint64, c_uint32] + [POINTER(c_void_p)] * 2),
        "phone_shut_down": (None, [c_void_p]),
        "phone_free": (None, [c_void_p]),
        "message_sequence": (c_uint64, [c_void_p]),
        "message_from": (c_char_p, [c_void_p]),
        "message_text": (c_char_p, [c_void_p]),
        "message_free": (None, [c_void_p]),
        "event_sequence": (c_uint64, [c_void_p]),
        "event_kind": (c_int, [c_void_p]),
        "event_state": (c_int, [c_void_p]),
        "event_active": (c_bool, [c_void_p]),
        "event_peer": (c_char_p, [c_void_p]),
        "event_explanation": (c_char_p, [c_void_p]),
        "event_free": (None, [c_void_p]),
        "page_count": (c_size_t, [c_void_p]),
        "page_state": (c_int, [c_void_p, c_size_t]),
        "page_text": (c_char_p, [c_void_p, c_size_t]),
        "page_free": (None, [c_void_p]),
        "text_free": (None, [c_void_p]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(aldis, "aldis_" + name)
        function.restype, function.argtypes = result, arguments
    return aldis


def words(text):
    return (text or b"").decode()


def show_messages(aldis, phone):
    last = 0
    while message := aldis.aldis_phone_next_message(phone, last, 2_000):
        print(words(aldis.aldis_message_from(message)), words(aldis.aldis_message_text(message)), sep=": ")
        aldis.aldis_phone_displayed(phone, message, None)
        last = aldis.aldis_message_sequence(message)
        aldis.aldis_message_free(message)


def show_events(aldis, phone):
    last = 0
    while event := aldis.aldis_phone_next_event(phone, last, 2_000):
        state, why = aldis.aldis_event_state(event), aldis.aldis_event_explanation(event)
        if aldis.aldis_event_kind(event) == COMPOSING and aldis.aldis_event_active(event):
            print(words(aldis.aldis_event_peer(event)), "is writing")
        elif state in (DELIVERED, DISPLAYED):
            print("(delivered)" if state == DELIVERED else "(displayed)")
        elif why:
            print("!", words(why))
        last = aldis.aldis_event_sequence(event)
        aldis.aldis_event_free(event)


def show_history(aldis, phone, peer):
    page = c_void_p()
    if aldis.aldis_phone_history(phone, peer.encode(), 0, 10, byref(page), None):
        return
    for i in reversed(range(aldis.aldis_page_count(page))):
        arrow = "<" if aldis.aldis_page_state(page, i) == NONE else ">"
        print(arrow, words(aldis.aldis_page_text(page, i)))
    aldis.aldis_page_free(page)


def main(library, own, other, text):
    aldis, phone, explanation = load(library), c_void_p(), c_void_p()

    def check(result):
        if result:
            why = ctypes.cast(explanation, c_char_p).value
            print(f"failed ({result}): {words(why)}", file=sys.stderr)
            aldis.aldis_text_free(explanation)
            aldis.aldis_phone_free(phone)
            sys.exit(result)

    roots = os.environ.get("ALDIS_ROOTS")
    config = Config(
        address_of_record=own.encode(),
        password=os.environb.get(b"ALDIS_PASSWORD"),
        address=os.environb.get(b"ALDIS_ADDRESS"),
        additional_roots=pathlib.Path(roots).read_bytes() if roots else None,
        store_file=os.environb.get(b"ALDIS_STORE"),
        send_display_receipts=True,
    )
    check(aldis.aldis_phone_start(byref(config), byref(phone), byref(explanation)))
    check(aldis.aldis_phone_register(phone, 10_000, byref(explanation)))
    aldis.aldis_phone_composing(phone, other.encode())
    check(aldis.aldis_phone_send(phone, other.encode(), text.encode(), True, 10_000, byref(explanation)))
    show_messages(aldis, phone)
    show_events(aldis, phone)
    show_history(aldis, phone, other)
    aldis.aldis_phone_shut_down(phone)
    aldis.aldis_phone_free(phone)


if __name__ == "__main__":
    main(*sys.argv[1:])
