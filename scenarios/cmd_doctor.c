#include "scenarios/cmd_doctor.h"

#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/log.h"
#include "core/stop.h"
#include "core/words.h"
#include "scenarios/doctor.h"

struct doctor_opts {
	const char *format;
};

static const struct opt opts[] = {
	{.name = "format",
		.type = OPT_CHOICE,
		.arg = "text|json",
		.choices = "text|json",
		.dflt = "text",
		.offset = offsetof(struct doctor_opts, format),
		.group = "Output",
		.help = "For people or for programs."},
	{.name = NULL},
};

/* The networks that a lab can live on here, each between quotes, or bare. */
static void list_networks(
	const struct doctor_finding *f, size_t n, const char *quote, struct buf *b)
{
	const char *comma = "";

	for (int i = 0; i < LABFILE_NETWORK_N; i++) {
		if (!doctor_has_network(f, n, (enum labfile_network)i))
			continue;
		buf_printf(b, "%s%s%s%s", comma, quote,
			labfile_network_text((enum labfile_network)i), quote);
		comma = ", ";
	}
}

static void print_text(const struct doctor_finding *f, size_t n)
{
	struct buf b;

	for (size_t i = 0; i < n; i++) {
		printf("%-8s %-20s %s\n",
			f[i].ok                        ? "ok"
			: f[i].need == DOCTOR_REQUIRED ? "MISSING"
						       : "missing",
			f[i].name, f[i].detail);
		if (f[i].ok)
			continue;
		printf("         %-20s without it: %s\n", "", f[i].without);
		if (f[i].hint[0])
			printf("         %-20s %s\n", "", f[i].hint);
	}
	printf("\n%s\n", doctor_lab_can_run(f, n)
				 ? "A lab for Kafka can run here."
				 : "A lab for Kafka cannot run here: see what is MISSING.");
	printf("A lab for RabbitMQ %s here.\n",
		doctor_rabbitmq_can_run(f, n) ? "can run" : "cannot run");
	buf_init(&b, BUF_MAX_DEFAULT);
	list_networks(f, n, "", &b);
	if (doctor_lab_can_run(f, n))
		printf("Its --network can be: %s\n", buf_str(&b));
	buf_release(&b);
}

static void json_pair(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, ", \"%s\": ", name);
	buf_json_str(b, value);
}

static void print_json(const struct doctor_finding *f, size_t n)
{
	struct buf b;

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_printf(&b,
		"{\"format\": \"mqaudit-doctor/1\", \"lab_kafka\": %s, "
		"\"lab_rabbitmq\": %s,\n \"lab_networks\": [",
		doctor_lab_can_run(f, n) ? "true" : "false",
		doctor_rabbitmq_can_run(f, n) ? "true" : "false");
	list_networks(f, n, "\"", &b);
	buf_str_add(&b, "],\n \"checks\": [");
	for (size_t i = 0; i < n; i++) {
		buf_str_add(&b, i ? ",\n  {\"name\": " : "\n  {\"name\": ");
		buf_json_str(&b, f[i].name);
		buf_printf(&b, ", \"ok\": %s, \"required\": %s", f[i].ok ? "true" : "false",
			f[i].need == DOCTOR_REQUIRED ? "true" : "false");
		json_pair(&b, "detail", f[i].detail);
		json_pair(&b, "without", f[i].without);
		json_pair(&b, "hint", f[i].hint);
		buf_char(&b, '}');
	}
	buf_str_add(&b, "\n ]}\n");
	fputs(buf_str(&b), stdout);
	buf_release(&b);
}

static int run_doctor(struct cmdline *cl)
{
	const struct doctor_opts *o = cl->opts;
	struct doctor_finding f[DOCTOR_MAX];
	struct err e = {0};
	size_t n;
	int r;

	stop_install(NULL);
	r = doctor_examine(f, &n, &e);
	if (r == ERR_STOPPED)
		return EXIT_INTERRUPTED;
	if (r) {
		err_print(&e);
		return EXIT_ERROR;
	}
	if (strcmp(o->format, "json") == 0)
		print_json(f, n);
	else
		print_text(f, n);
	return doctor_lab_can_run(f, n) ? EXIT_PASS : EXIT_UNDECIDED;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "say what this machine's lab can do, and what is missing for it",
	.description = "Tries each thing that labs, faults and the embedded ledger are made of, "
		       "for real and without "
		       "a trace: makes a network namespace, a bridge, a blackhole route, packet "
		       "filters and queues in "
		       "it, mounts a file system from a file, asks Java, Maven and PostgreSQL for "
		       "their versions. Exit "
		       "code 0 when a lab for Kafka can run here, 4 otherwise. What is optional is "
		       "skipped by the "
		       "scenarios that need it, with the reason.",
	.examples = "  mqaudit doctor\n",
	.opts = opts,
	.opts_size = sizeof(struct doctor_opts),
	.run = run_doctor,
};
