#include "core/broker/erlang.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/paths.h"

#define EVAL_SLACK_NS (5 * NS_PER_S)

/* "{ok, "..."}", or "{ok, []}" for the empty string. */
static int read_value(const char *answer, char *ret, size_t len, struct err *e)
{
	const char *begin = strstr(answer, "{ok, \""), *end;

	*ret = '\0';
	if (strncmp(answer, "{ok, []}", 8) == 0)
		return 0;
	end = begin ? strchr(begin + 6, '"') : NULL;
	if (!end)
		return err_set(e, ERR_BROKER_AWAY, "it answers '%.200s'", answer);
	if ((size_t)(end - begin - 6) >= len)
		return err_set(e, ERR_LIMIT, "its answer is too long");
	snprintf(ret, len, "%.*s", (int)(end - begin - 6), begin + 6);
	return 0;
}

int erlang_eval(const struct proc_spec *where, const char *home, const char *node,
	const char *expressions, int64_t timeout_ns, char *ret, size_t len, struct err *e)
{
	char home_is[PATHS_MAX + 16], seconds[24];
	const char *argv[] = {
		"env", home_is, "erl_call", "-r", "-name", node, "-timeout", seconds, "-e", NULL};
	struct proc_spec spec = *where;
	struct buf out;
	int code = 0, r;

	snprintf(home_is, sizeof(home_is), "HOME=%s", home);
	snprintf(seconds, sizeof(seconds), "%lld",
		(long long)((timeout_ns + NS_PER_S - 1) / NS_PER_S));
	spec.argv = argv;
	buf_init(&out, 1 << 20);
	r = proc_run(&spec, expressions, true, timeout_ns + EVAL_SLACK_NS, &out, &code, e);
	if (r == 0 && code)
		r = err_set(
			e, ERR_BROKER_AWAY, "erl_call ended with %d: %.200s", code, buf_str(&out));
	if (r == 0)
		r = read_value(buf_str(&out), ret, len, e);
	buf_release(&out);
	return r;
}
