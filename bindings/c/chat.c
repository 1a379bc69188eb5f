/* Registers, sends one message, and shows what comes: chat MY-ADDRESS THEIR-ADDRESS TEXT
 * ALDIS_PASSWORD is the password; ALDIS_ADDRESS (host:port) and ALDIS_ROOTS (a PEM file) serve a server of your own. */
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

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: chat MY-ADDRESS THEIR-ADDRESS TEXT\n");
        return 64;
    }
    char *explanation = NULL, *roots = read_file(getenv("ALDIS_ROOTS"));
    AldisPhone *phone = NULL;
    AldisResult result =
        aldis_phone_start(argv[1], getenv("ALDIS_PASSWORD"), getenv("ALDIS_ADDRESS"), roots, &phone, &explanation);
    free(roots);
    if (result != ALDIS_RESULT_OK) return fail("not started", result, explanation);

    result = aldis_phone_register(phone, 10000, &explanation);
    if (result == ALDIS_RESULT_OK) {
        result = aldis_phone_send(phone, argv[2], argv[3], 10000, &explanation);
    }
    if (result != ALDIS_RESULT_OK) {
        aldis_phone_free(phone);
        return fail("not sent", result, explanation);
    }
    uint64_t last = 0;
    AldisMessage *message;
    while ((message = aldis_phone_next_message(phone, last, 2000))) {
        const char *text = aldis_message_text(message);
        printf("%s: %s\n", aldis_message_from(message), text ? text : aldis_message_content_type(message));
        last = aldis_message_sequence(message);
        aldis_message_free(message);
    }
    aldis_phone_shut_down(phone);
    aldis_phone_free(phone);
    return 0;
}
