#include "core/broker/broker.h"

#include <stdlib.h>
#include <string.h>

static const struct broker_ops *const brokers[] = {
	&broker_kafka,
	&broker_rabbitmq,
	NULL,
};

const struct broker_ops *const *broker_all(void)
{
	return brokers;
}

const struct broker_ops *broker_find(const char *scheme)
{
	for (size_t i = 0; brokers[i]; i++)
		for (size_t j = 0; brokers[i]->schemes[j]; j++)
			if (strcmp(brokers[i]->schemes[j], scheme) == 0)
				return brokers[i];
	return NULL;
}

const char *broker_origin_text(enum broker_origin o)
{
	static const char *const text[] = {
#define BROKER_TEXT_(name, what) what,
		BROKER_ORIGINS(BROKER_TEXT_)
#undef BROKER_TEXT_
	};

	return o < BROKER_ORIGIN_N ? text[o] : "?";
}

void broker_topic_free(struct broker_topic *t)
{
	free(t->partition);
	free(t->node);
	memset(t, 0, sizeof(*t));
}

void broker_removals_free(struct broker_removals *r)
{
	free(r->count);
	r->count = NULL;
	r->n_counts = 0;
}
