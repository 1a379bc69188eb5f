/* Registers, sends one message, shows what comes and what was said before: chat MY-ADDRESS THEIR-ADDRESS TEXT
 * ALDIS_PASSWORD is the password, ALDIS_STORE a file in which messages outlive the program; ALDIS_ADDRESS (host:port) and
 * ALDIS_ROOTS (a PEM file) serve a server of your own. */
#include "aldis.h"
#include <stdio.h>
#include <stdlib.h>

static char *read_file(const char *path) {
    FILE *file = path ? fopen(path, "rb") : NULL;
    if (!file) return NULL;
    char *text = calloc(1, 1 << 16);
    if (text) text[fread(text, 1, (1 << 16) - 1, file)] = 0;
    fclose(file);
    return text;
}

static int fail(const char *what, AldisResult result, char *explanation) {
    fprintf(stderr, "%s (%d): %s\n", what, (int)result, explanation ? explanation : "");
    aldis_text_free(explanation);
    return (int)result;
}

/* What comes within two seconds. Who sent it is told that it was shown. */
static void show_messages(AldisPhone *phone) {
    uint64_t last = 0;
    AldisMessage *message;
    while ((message = aldis_phone_next_message(phone, last, 2000))) {
        const char *text = aldis_message_text(message);
        printf("%s: %s\n", aldis_message_from(message), text ? text : aldis_message_content_type(message));
        aldis_phone_displayed(phone, message, NULL);
        last = aldis_message_sequence(message);
        aldis_message_free(message);
    }
}

static void show_events(AldisPhone *phone) {
    uint64_t last = 0;
    AldisEvent *event;
    while ((event = aldis_phone_next_event(phone, last, 2000))) {
        const char *peer = aldis_event_peer(event), *why = aldis_event_explanation(event);
        AldisState state = aldis_event_state(event);
        if (aldis_event_kind(event) == ALDIS_EVENT_KIND_COMPOSING && aldis_event_active(event)) {
            printf("%s is writing\n", peer);
        } else if (state == ALDIS_STATE_DELIVERED || state == ALDIS_STATE_DISPLAYED) {
            printf("(%s)\n", state == ALDIS_STATE_DELIVERED ? "delivered" : "displayed");
        } else if (why) {
            printf("! %s\n", why);
        }
        last = aldis_event_sequence(event);
        aldis_event_free(event);
    }
}

static void show_history(AldisPhone *phone, const char *peer) {
    AldisPage *page = NULL;
    if (aldis_phone_history(phone, peer, 0, 10, &page, NULL) != ALDIS_RESULT_OK) return;
    for (size_t i = aldis_page_count(page); i-- > 0;) {
        const char *text = aldis_page_text(page, i);
        const char *arrow = aldis_page_state(page, i) == ALDIS_STATE_NONE ? "<" : ">";
        printf("%s %s\n", arrow, text ? text : aldis_page_content_type(page, i));
    }
    aldis_page_free(page);
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: chat MY-ADDRESS THEIR-ADDRESS TEXT\n");
        return 64;
    }
    char *explanation = NULL, *roots = read_file(getenv("ALDIS_ROOTS"));
    AldisPhone *phone = NULL;
    AldisConfig config = {
        .address_of_record = argv[1],
        .password = getenv("ALDIS_PASSWORD"),
        .address = getenv("ALDIS_ADDRESS"),
        .additional_roots = roots,
        .store_file = getenv("ALDIS_STORE"),
        .send_display_receipts = true,
    };
    AldisResult result = aldis_phone_start(&config, &phone, &explanation);
    free(roots);
    if (result != ALDIS_RESULT_OK) return fail("not started", result, explanation);

    result = aldis_phone_register(phone, 10000, &explanation);
    if (result == ALDIS_RESULT_OK) {
        aldis_phone_composing(phone, argv[2]);
        result = aldis_phone_send(phone, argv[2], argv[3], true, 10000, &explanation);
    }
    if (result != ALDIS_RESULT_OK) {
        aldis_phone_free(phone);
        return fail("not sent", result, explanation);
    }
    show_messages(phone);
    show_events(phone);
    show_history(phone, argv[2]);
    aldis_phone_shut_down(phone);
    aldis_phone_free(phone);
    return 0;
}
