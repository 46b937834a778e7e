/* TLS to RabbitMQ: certificates in, and what OpenSSL thought of the peer's out. */
#include <amqp_ssl_socket.h>
#include <string.h>

#include "core/broker/rabbitmq.h"
#include "core/broker/rabbitmq_openssl.h"

static int set_certificates(amqp_socket_t *socket, const struct rabbitmq_settings *s, struct err *e)
{
	amqp_ssl_socket_set_verify_peer(socket, s->ssl_verify);
	amqp_ssl_socket_set_verify_hostname(socket, s->ssl_verify);
	if (s->ssl_verify && amqp_ssl_socket_set_cacert(socket, s->ssl_ca)) {
		err_set(e, ERR_USAGE, "no certificates can be read from '%s'", s->ssl_ca);
		return err_hint(e, "-X ssl.ca.location=FILE, in PEM form");
	}
	if (s->ssl_certificate[0] &&
		amqp_ssl_socket_set_key(socket, s->ssl_certificate, s->ssl_key)) {
		err_set(e, ERR_USAGE,
			"certificate '%s' and key '%s' cannot be read, or do not belong together",
			s->ssl_certificate, s->ssl_key);
		return err_hint(e, "ssl.certificate.location and ssl.key.location, in PEM form");
	}
	return 0;
}

int rabbitmq_tls_socket(const struct rabbitmq_client *client, struct rabbitmq_conn *conn,
	amqp_socket_t **ret, struct err *e)
{
	*ret = amqp_ssl_socket_new(conn->state);
	if (!*ret)
		return err_set(e, ERR_NOMEM, "out of memory for a connection");
	rabbitmq_openssl_watch(amqp_ssl_socket_get_context(*ret));
	return set_certificates(*ret, &client->settings, e);
}

const char *rabbitmq_tls_reason(int status)
{
	switch (status) {
	case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
		return rabbitmq_openssl_fault_text();
	case AMQP_STATUS_SSL_CONNECTION_FAILED:
	case AMQP_STATUS_SSL_ERROR:
		return rabbitmq_openssl_error();
	default:
		return "";
	}
}

static const char *certificate_hint(void)
{
	switch (rabbitmq_openssl_fault()) {
	case RABBITMQ_OPENSSL_EXPIRED:
		return "the broker needs a new certificate";
	case RABBITMQ_OPENSSL_NOT_YET:
		return "is the clock right, here and where it was made?";
	default:
		return "-X ssl.ca.location=FILE names the certificates that are trusted";
	}
}

const char *rabbitmq_tls_hint(int status)
{
	switch (status) {
	case AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
		return certificate_hint();
	case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED:
		/* as of 0.11: amqp_openssl_hostname_validation.c looks at no others */
		return "the certificate is for another host; an address must stand in it as a DNS name, "
		       "rabbitmq-c compares no others";
	case AMQP_STATUS_SSL_CONNECTION_FAILED:
	case AMQP_STATUS_SSL_ERROR:
		if (strstr(rabbitmq_tls_reason(status), "alert"))
			return "the broker does not take our certificate, or wants one: "
			       "ssl.certificate.location and ssl.key.location";
		/* a connection that was fine before may end so as well */
		return status == AMQP_STATUS_SSL_ERROR ? NULL : "is this the port for TLS, 5671?";
	default:
		return NULL;
	}
}
