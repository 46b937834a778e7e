/* What a client heard of its troubles, and how that is told: what failed, why, what to do. */
#include <stdio.h>
#include <string.h>

#include "core/broker/kafka.h"
#include "core/clock.h"

static bool is_denial(int code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		return true;
	default:
		return false;
	}
}

void kafka_watch_error(struct kafka_watch *w, int code, const char *text)
{
	pthread_mutex_lock(&w->mutex);
	/* "all brokers are down" says less than the reason that came before it */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || !w->health.last_error[0]) {
		snprintf(w->health.last_error, sizeof(w->health.last_error), "%s", text);
		w->last_code = code;
	}
	if (is_denial(code))
		w->denied = true;
	pthread_mutex_unlock(&w->mutex);
}

static int kind_of(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
	case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
	case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
	case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
	case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
		return ERR_BROKER_AWAY;
	case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
	case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
	case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
		return ERR_NOTFOUND;
	case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
		return ERR_EXISTS;
	case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
	case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
	case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
	case RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT:
	case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
		return ERR_USAGE;
	default:
		return is_denial((int)code) ? ERR_DENIED : ERR_BROKER;
	}
}

static void hint_for_denial(int code, const char *reason, struct err *e)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__SSL:
		err_hint(e, "check ssl.ca.location and what else is set of ssl.*");
		break;
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
	case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
		/* a handshake that failed is called so as well */
		if (strstr(reason, "certificate"))
			err_hint(e, "check ssl.ca.location and what else is set of ssl.*");
		else
			err_hint(e, "check sasl.mechanism, sasl.username and the password");
		break;
	case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
		err_hint(e,
			"the user lacks a permission on the topic: Describe to find it, Write to "
			"send, Read to check (kafka-acls)");
		break;
	case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
		err_hint(e,
			"the user lacks a permission on the cluster or the topic: Create to make "
			"a topic, IdempotentWrite or Write to send (kafka-acls)");
		break;
	case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
		err_hint(e, "the user lacks the permission to Write with this transactional.id "
			    "(kafka-acls)");
		break;
	default:
		err_hint(e,
			"check security.protocol, sasl.*, ssl.* and the permissions of this user");
	}
}

/* A broker that is spoken to in the wrong way hangs up; the library does not always guess why. */
static bool ended_by_broker(const char *reason)
{
	return strstr(reason, "security.protocol") || strstr(reason, "Disconnected") ||
	       strstr(reason, "Broken pipe") || strstr(reason, "reset by peer");
}

static void hint_for_absence(const char *reason, struct err *e)
{
	if (strstr(reason, "Failed to resolve"))
		err_hint(e, "check the name of the host");
	else if (ended_by_broker(reason))
		err_hint(e,
			"the listener may want another security.protocol, or credentials: set them "
			"with -X or in --producer-config FILE");
	else if (strstr(reason, "refused"))
		err_hint(e, "check host and port, and that a broker runs there");
	else
		err_hint(e,
			"check host and port, that a broker answers there, and security.protocol");
}

/*
 * The library's text without what is noise to people: "sasl_ssl://h:9092/bootstrap: why (after 3ms in
 * state X, 1 identical error(s) suppressed)" becomes "h:9092: why"; and "why" when it names the host too.
 */
static void tidy(const char *text, char *ret, size_t len)
{
	const char *host = strstr(text, "://"), *slash, *why, *end;

	host = host && host < text + strcspn(text, " ") ? host + 3 : text;
	slash = host + strcspn(host, "/ ");
	why = *slash == '/' ? strstr(slash, ": ") : NULL;
	end = strstr(text, " (after ");
	if (!end)
		end = text + strlen(text);
	if (!why || why > end)
		snprintf(ret, len, "%.*s", (int)(end - text), text);
	else if (strncmp(why + 2, "Connect to ", 11) == 0 ||
		 strncmp(why + 2, "Failed to res", 13) == 0)
		snprintf(ret, len, "%.*s", (int)(end - why - 2), why + 2);
	else
		snprintf(ret, len, "%.*s%.*s", (int)(slash - host), host, (int)(end - why), why);
}

static bool says_only_away(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
	       code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
}

int kafka_error(struct kafka_client *c, rd_kafka_resp_err_t code, const char *what, struct err *e)
{
	char reason[sizeof(c->watch.health.last_error)], hosts[256] = "the broker";
	int kind = kind_of(code), last = (int)code;

	pthread_mutex_lock(&c->watch.mutex);
	tidy(c->watch.health.last_error, reason, sizeof(reason));
	if (kind == ERR_BROKER_AWAY && c->watch.denied) {
		kind = ERR_DENIED;
		last = c->watch.last_code;
	}
	pthread_mutex_unlock(&c->watch.mutex);
	if (!reason[0])
		kafka_setting(c, "bootstrap.servers", hosts, sizeof(hosts));
	if (says_only_away(code) && reason[0])
		err_set(e, kind, "%s failed: %s", what, reason);
	else if (says_only_away(code))
		err_set(e, kind, "%s failed: %s did not answer within %.1f s", what, hosts,
			(double)c->timeout_ns / (double)NS_PER_S);
	else if (reason[0] && (kind == ERR_BROKER_AWAY || kind == ERR_DENIED))
		err_set(e, kind, "%s failed: %s (%s)", what, rd_kafka_err2str(code), reason);
	else
		err_set(e, kind, "%s failed: %s", what, rd_kafka_err2str(code));
	if (kind == ERR_DENIED)
		hint_for_denial(last, reason, e);
	else if (kind == ERR_BROKER_AWAY)
		hint_for_absence(reason, e);
	return kind;
}

bool kafka_stopped(const struct kafka_client *c, const char *what, struct err *e)
{
	if (!c->stop || !*c->stop)
		return false;
	err_set(e, ERR_STOPPED, "%s was stopped", what);
	return true;
}
