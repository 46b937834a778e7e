#ifndef CORE_BROKER_RABBITMQ_OPENSSL_H
#define CORE_BROKER_RABBITMQ_OPENSSL_H

/*
 * What rabbitmq-c keeps for itself of OpenSSL's judgement. Apart, as OpenSSL's headers and core/err.h claim the same
 * names.
 */

/* What is wrong with a peer's certificate. */
enum rabbitmq_openssl_fault {
	RABBITMQ_OPENSSL_FINE, /* nothing, or no certificate was looked at */
	RABBITMQ_OPENSSL_EXPIRED,
	RABBITMQ_OPENSSL_NOT_YET,
	RABBITMQ_OPENSSL_UNTRUSTED, /* and all else */
};

/* Watch the handshakes of a context (SSL_CTX *), and forget what this thread saw before. Changes no judgement. */
void rabbitmq_openssl_watch(void *context);

/* Of the last handshake of this thread: the peer's certificate, and OpenSSL's words for it. Constants. */
enum rabbitmq_openssl_fault rabbitmq_openssl_fault(void);
const char *rabbitmq_openssl_fault_text(void);

/* OpenSSL's words for this thread's last error; "" when there is none. A constant. */
const char *rabbitmq_openssl_error(void);

#endif
