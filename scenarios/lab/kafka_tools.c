#include "scenarios/lab/kafka_tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lab_data.h"
#include "scenarios/lab/kafka_dist.h"

/* What a tool is: its class, the class's older name, and how it is told the client's properties. */
static const struct tool {
	const char *name;
	const char *class;
	const char *class_before_4; /* NULL: the same */
	const char *config_option;  /* NULL: it is no client */
} tools[] = {
	{"kafka-topics", "org.apache.kafka.tools.TopicCommand", NULL, "--command-config"},
	{"kafka-configs", "kafka.admin.ConfigCommand", NULL, "--command-config"},
	{"kafka-acls", "org.apache.kafka.tools.AclCommand", "kafka.admin.AclCommand",
		"--command-config"},
	{"kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer", NULL,
		"--consumer.config"},
	{"kafka-console-producer", "org.apache.kafka.tools.ConsoleProducer",
		"kafka.tools.ConsoleProducer", "--producer.config"},
	{"kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance", NULL,
		"--producer.config"},
	{"kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance", NULL,
		"--consumer.config"},
	{"kafka-leader-election", "org.apache.kafka.tools.LeaderElectionCommand", NULL,
		"--admin.config"},
	{"kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand", NULL,
		"--command-config"},
	{"kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
		NULL, "--command-config"},
	{"kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand", NULL,
		"--command-config"},
	{"kafka-reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
		NULL, "--command-config"},
	{"kafka-features", "org.apache.kafka.tools.FeatureCommand", NULL, "--command-config"},
	{"kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell", NULL, "--command-config"},
	{"kafka-transactions", "org.apache.kafka.tools.TransactionsCommand", NULL,
		"--command-config"},
	{"kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand", NULL, "--command-config"},
	{"kafka-dump-log", "kafka.tools.DumpLogSegments", NULL, NULL},
	{"kafka-storage", "kafka.tools.StorageTool", NULL, NULL},
};

void kafka_tools_folder(const char *lab_folder, char *ret, size_t len)
{
	snprintf(ret, len, "%.440s/bin", lab_folder);
}

void kafka_tools_path(const struct lab *lab, const char *tool, char *ret, size_t len)
{
	snprintf(ret, len, "%.440s/bin/%s", lab->folder, tool);
}

static void add_script(
	struct buf *b, const struct lab *lab, const struct tool *tool, const char *java)
{
	const struct labfile *file = lab->file;
	bool old = kafka_dist_is_before(file, 4) && tool->class_before_4;

	buf_str_add(b, "#!/bin/sh\n# made by mqaudit lab up\nlab=");
	buf_shell_word(b, lab->folder);
	buf_char(b, '\n');
	if (file->secure && tool->config_option)
		buf_printf(b,
			"case \" $* \" in *' %s '*) ;;\n"
			"*) set -- %s \"$lab/admin.java.properties\" \"$@\" ;;\nesac\n",
			tool->config_option, tool->config_option);
	buf_str_add(b, "exec ");
	buf_shell_word(b, java);
	buf_printf(b,
		" -Xms16m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \\\n"
		"\t-Dlog4j2.configurationFile=\"$lab/tool-log4j2.properties\" \\\n"
		"\t-Dlog4j.configuration=\"file:$lab/log4j.properties\" \\\n"
		"\t@\"$lab/%s\" %s \"$@\"\n",
		strrchr(file->java_args, '/') + 1, old ? tool->class_before_4 : tool->class);
}

static int write_script(struct lab *lab, const struct tool *tool, const char *java, struct err *e)
{
	char path[PATHS_MAX];
	struct buf b;
	int r;

	buf_init(&b, 65536);
	kafka_tools_path(lab, tool->name, path, sizeof(path));
	add_script(&b, lab, tool, java);
	r = buf_failed(&b);
	if (r)
		err_set(e, r, "%s", err_code_text(r));
	else
		r = paths_write_file(path, buf_str(&b), b.len, e);
	if (r == 0 && chmod(path, 0755) != 0)
		r = err_set_errno(e, ERR_IO, errno, "cannot make '%s' executable", path);
	buf_release(&b);
	return r;
}

int kafka_tools_write(struct lab *lab, struct err *e)
{
	char folder[PATHS_MAX], java[PATHS_MAX], path[PATHS_MAX];
	int r = kafka_dist_java(java, sizeof(java), e);

	kafka_tools_folder(lab->folder, folder, sizeof(folder));
	if (r == 0)
		r = paths_make(folder, 0755, e);
	snprintf(path, sizeof(path), "%.440s/tool-log4j2.properties", lab->folder);
	if (r == 0)
		r = paths_write_file(path, LAB_KAFKA_TOOL_LOG4J2_PROPERTIES,
			strlen(LAB_KAFKA_TOOL_LOG4J2_PROPERTIES), e);
	for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]) && r == 0; i++)
		r = write_script(lab, &tools[i], java, e);
	return r;
}

int kafka_tools_bootstrap(const struct labfile *file, struct err *e)
{
	if (setenv("KAFKA_BOOTSTRAP", file->bootstrap, 1) != 0 ||
		setenv("MQAUDIT_LAB", file->name, 1) != 0 ||
		(file->client_config[0] &&
			setenv("KAFKA_CLIENT_CONFIG", file->client_config, 1) != 0))
		return err_set_errno(e, ERR_NOMEM, errno, "cannot set the environment");
	return 0;
}

int kafka_tools_environment(const struct labfile *file, struct err *e)
{
	char state_path[PATHS_MAX], tools_path[PATHS_MAX + 8], path[8192];
	const char *before = getenv("PATH");
	int r = labfile_path(file->name, file->kind, state_path, sizeof(state_path), e);

	if (r)
		return r;
	state_path[strlen(state_path) - strlen(".json")] = '\0';
	kafka_tools_folder(state_path, tools_path, sizeof(tools_path));
	snprintf(path, sizeof(path), "%s:%s", tools_path,
		before && *before ? before : "/usr/bin:/bin");
	if (setenv("PATH", path, 1) != 0)
		return err_set_errno(e, ERR_NOMEM, errno, "cannot set the environment");
	return kafka_tools_bootstrap(file, e);
}
