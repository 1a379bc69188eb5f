/* rawreg DOMAIN PORT ROOT USER PASSWORD: what registering costs with no SIP stack at all. One blocking connection with
 * OpenSSL to 127.0.0.1, verified against ROOT (PEM) and DOMAIN; REGISTER, 401, digest (MD5), 200. Ends with 0. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static SSL *tls;
static char in[65536];

static void md5(char *out, const char *text) {
    unsigned char digest[16];
    unsigned length;
    EVP_Digest(text, strlen(text), digest, &length, EVP_md5(), 0);
    for (int i = 0; i < 16; i++) sprintf(out + 2 * i, "%02x", digest[i]);
}

static int receive(void) {
    int length = 0, count;
    while (length < (int)sizeof in - 1 && (count = SSL_read(tls, in + length, sizeof in - 1 - length)) > 0) {
        in[length += count] = 0;
        if (strstr(in, "\r\n\r\n")) return atoi(in + 8);
    }
    return 0;
}

/* A quoted parameter of the challenge that asks for MD5; the registrar sends one for SHA-256 too. */
static int parameter(const char *name, char *value, size_t size) {
    for (char *line = in; (line = strcasestr(line, "WWW-Authenticate:")); line++) {
        char *end = strstr(line, "\r\n"), *at = strstr(line, name), *other = strstr(line, "SHA-256");
        if (end && at && at < end && (!other || other > end)) {
            at += strlen(name);
            snprintf(value, size, "%.*s", (int)(strchr(at, '"') - at), at);
            return 1;
        }
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count != 6) return 9;
    const char *domain = arguments[1], *root = arguments[3], *user = arguments[4], *password = arguments[5];
    char authorization[1024] = "", request[4096];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_load_verify_locations(context, root, 0);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, 0);
    int file = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons(atoi(arguments[2])),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(file, (void *)&server, sizeof server)) return 1;
    setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    tls = SSL_new(context);
    SSL_set_fd(tls, file);
    SSL_set_tlsext_host_name(tls, domain);
    SSL_set1_host(tls, domain);
    if (SSL_connect(tls) != 1) return 2;
    for (int i = 1; i <= 2; i++) {
        int length = snprintf(request, sizeof request,
            "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1:5099;branch=z9hG4bK%d.%d;rport;alias\r\n"
            "Max-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=%d\r\nTo: <sip:%s@%s>\r\nCall-ID: rr%d\r\nCSeq: %d REGISTER\r\n"
            "Contact: <sip:%s@127.0.0.1:5099;transport=tls>\r\nExpires: 60\r\n%sContent-Length: 0\r\n\r\n",
            domain, getpid(), i, user, domain, getpid(), user, domain, getpid(), i, user, authorization);
        SSL_write(tls, request, length);
        int status = receive();
        if (status == 200) return 0;
        if (status != 401) return 3;
        char nonce[256], opaque[256], text[1024], a1[33], a2[33], answer[33];
        if (!parameter("nonce=\"", nonce, sizeof nonce) || !parameter("opaque=\"", opaque, sizeof opaque)) return 5;
        snprintf(text, sizeof text, "%s:%s:%s", user, domain, password);
        md5(a1, text);
        snprintf(text, sizeof text, "REGISTER:sip:%s", domain);
        md5(a2, text);
        snprintf(text, sizeof text, "%s:%s:00000001:abc:auth:%s", a1, nonce, a2);
        md5(answer, text);
        snprintf(authorization, sizeof authorization,
            "Authorization: Digest username=\"%s\",realm=\"%s\",nonce=\"%s\",uri=\"sip:%s\",response=\"%s\",algorithm=MD5,"
            "qop=auth,nc=00000001,cnonce=\"abc\",opaque=\"%s\"\r\n", user, domain, nonce, domain, answer, opaque);
        in[0] = 0;
    }
    return 4;
}
