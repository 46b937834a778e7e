#include "core/broker/rabbitmq_openssl.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

static _Thread_local int verify_error;

/* In place of OpenSSL's own check, and the same: whether it counts the library decides after the handshake. */
static int verify(X509_STORE_CTX *store, void *arg)
{
	int ok = X509_verify_cert(store);

	(void)arg;
	verify_error = X509_STORE_CTX_get_error(store);
	return ok;
}

void rabbitmq_openssl_watch(void *context)
{
	verify_error = X509_V_OK;
	ERR_clear_error();
	SSL_CTX_set_cert_verify_callback(context, verify, NULL);
}

enum rabbitmq_openssl_fault rabbitmq_openssl_fault(void)
{
	switch (verify_error) {
	case X509_V_OK:
		return RABBITMQ_OPENSSL_FINE;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return RABBITMQ_OPENSSL_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return RABBITMQ_OPENSSL_NOT_YET;
	default:
		return RABBITMQ_OPENSSL_UNTRUSTED;
	}
}

const char *rabbitmq_openssl_fault_text(void)
{
	return verify_error == X509_V_OK ? "" : X509_verify_cert_error_string(verify_error);
}

const char *rabbitmq_openssl_error(void)
{
	const char *text = ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "";
}
