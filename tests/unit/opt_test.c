#include "core/opt.h"

#include <unistd.h>

#include "core/paths.h"
#include "core/proc.h"
#include "tests/unit.h"

struct opts {
	bool flag, other;
	const char *text, *mode;
	uint64_t count, size;
	int64_t time_ns;
	struct opt_list list;
	const char *secret_file;
};

static const struct opt rows[] = {
	{.name = "flag",
		.letter = 'f',
		.type = OPT_FLAG,
		.offset = offsetof(struct opts, flag),
		.group = "Sending",
		.help = "A flag."},
	{.name = "other",
		.type = OPT_FLAG,
		.offset = offsetof(struct opts, other),
		.dflt = "yes",
		.help = "A flag that is on."},
	{.name = "text",
		.letter = 't',
		.type = OPT_STRING,
		.arg = "TEXT",
		.offset = offsetof(struct opts, text),
		.help = ".A text\\with 'roff' in it."},
	{.name = "mode",
		.type = OPT_CHOICE,
		.arg = "wait|drop",
		.choices = "wait|drop",
		.dflt = "wait",
		.offset = offsetof(struct opts, mode),
		.help = "One of two."},
	{.name = "count",
		.letter = 'n',
		.type = OPT_COUNT,
		.arg = "N",
		.dflt = "10k",
		.offset = offsetof(struct opts, count),
		.group = "Numbers",
		.help = "How many."},
	{.name = "size",
		.type = OPT_SIZE,
		.arg = "BYTES",
		.offset = offsetof(struct opts, size),
		.help = "How large."},
	{.name = "run-time",
		.type = OPT_DURATION,
		.arg = "TIME",
		.dflt = "5s",
		.offset = offsetof(struct opts, time_ns),
		.help = "How long."},
	{.name = "list",
		.letter = 'X',
		.type = OPT_LIST,
		.arg = "NAME=VALUE",
		.dflt = "a",
		.offset = offsetof(struct opts, list),
		.help = "Any number of them."},
	{.name = "inner",
		.type = OPT_STRING,
		.arg = "F",
		.offset = offsetof(struct opts, secret_file),
		.group = "Inside",
		.help = "Not for people.",
		.hidden = true},
	{0},
};

static const struct command commands[] = {
	{.name = "run",
		.args = "URL",
		.summary = "run it",
		.description = "First.\n\n.Second\nline.",
		.examples = "# try\nmqaudit run x\n",
		.opts = rows,
		.opts_size = sizeof(struct opts),
		.min_args = 1,
		.max_args = 2},
	{.name = "runs", .args = "", .summary = "list somebody's runs", .description = "Lists."},
	{.name = "runs delete",
		.args = "RUN",
		.summary = "delete one",
		.description = "Deletes.",
		.min_args = 1,
		.max_args = 1},
	{.name = "lab up",
		.args = "",
		.summary = "start",
		.description = "Starts.",
		.opts = rows,
		.opts_size = sizeof(struct opts)},
	{.name = "inside",
		.args = "",
		.summary = "hidden",
		.description = "Hidden.",
		.hidden = true},
};
#define N_COMMANDS N_OF(commands)

static char folder[] = "/tmp/mqaudit-opt-test-XXXXXX";
static char config[64];

/* Parse words (ended by NULL) for the first command. */
#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static struct cmdline cl;
static struct err e;

static int parse(const char *const *words)
{
	int argc = 0;

	while (words[argc])
		argc++;
	err_clear(&e);
	return opt_parse(
		commands, N_COMMANDS, &commands[0], argc, (char **)(uintptr_t)words, &cl, &e);
}

static const struct opts *given(void)
{
	return cl.opts;
}

static int clean(void **state)
{
	(void)state;
	opt_release(&cl);
	unsetenv("MQAUDIT_COUNT");
	unsetenv("MQAUDIT_RUN_TIME");
	unsetenv("MQAUDIT_FLAG");
	unsetenv("MQAUDIT_LIST");
	unsetenv("MQAUDIT_INNER");
	unsetenv("MQAUDIT_CONFIG");
	unlink(config);
	return 0;
}

static void write_config(const char *text)
{
	assert_int_equal(paths_write_file(config, text, strlen(text), NULL), 0);
}

static void every_type_is_read(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-f", "--no-other", "kafka://a/b", "--text=x=y", "--mode", "drop",
				 "-n5M", "--size", "1k", "--run-time", "250ms", "-X", "p=1",
				 "--list", "q=2", "-v", "--", "--second"),
		0);
	assert_true(given()->flag);
	assert_false(given()->other);
	assert_string_equal(given()->text, "x=y");
	assert_string_equal(given()->mode, "drop");
	assert_int_equal(given()->count, 5000000);
	assert_int_equal(given()->size, 1024);
	assert_int_equal(given()->time_ns, 250000000);
	assert_int_equal(given()->list.n, 2);
	assert_string_equal(given()->list.item[0], "p=1");
	assert_string_equal(given()->list.item[1], "q=2");
	assert_true(cl.verbose && !cl.quiet);
	assert_int_equal(cl.argc, 2);
	assert_string_equal(cl.argv[0], "kafka://a/b");
	assert_string_equal(cl.argv[1], "--second");
	assert_null(cl.argv[2]);
}

static void defaults_hold_where_nothing_is_given(void **state)
{
	(void)state;
	assert_int_equal(PARSE("url"), 0);
	assert_false(given()->flag);
	assert_true(given()->other);
	assert_null(given()->text);
	assert_string_equal(given()->mode, "wait");
	assert_int_equal(given()->count, 10000);
	assert_int_equal(given()->time_ns, INT64_C(5000000000));
	assert_int_equal(given()->list.n, 1);
	assert_string_equal(given()->list.item[0], "a");
	assert_false(opt_given(&cl, "count"));
}

static void a_flag_beats_the_environment_beats_the_file_beats_the_default(void **state)
{
	(void)state;
	write_config("count = 1\nrun-time = 1s\nsize = 1\n[run]\ntext = from file\nlist = one\n"
		     "list = two\n[lab up]\nnonsense = 1\n");
	setenv("MQAUDIT_COUNT", "2", 1);
	setenv("MQAUDIT_RUN_TIME", "2s", 1);
	assert_int_equal(PARSE("url", "--count=3", "--config", config), 0);
	assert_int_equal(given()->count, 3);
	assert_int_equal(given()->time_ns, INT64_C(2000000000));
	assert_int_equal(given()->size, 1);
	assert_string_equal(given()->text, "from file");
	assert_int_equal(given()->list.n, 2); /* the default is gone */
	assert_true(opt_given(&cl, "size") && opt_given(&cl, "run-time"));
	assert_false(opt_given(&cl, "mode"));
}

static void the_environment_names_a_config_file_too(void **state)
{
	(void)state;
	write_config("count = 77");
	setenv("MQAUDIT_CONFIG", config, 1);
	assert_int_equal(PARSE("url"), 0);
	assert_int_equal(given()->count, 77);
}

static void hidden_options_come_from_flags_only(void **state)
{
	(void)state;
	setenv("MQAUDIT_INNER", "x", 1);
	assert_int_equal(PARSE("url"), 0);
	assert_null(given()->secret_file);
	opt_release(&cl);
	write_config("[run]\ninner = x\n");
	assert_int_equal(PARSE("url", "--config", config), ERR_USAGE);
	opt_release(&cl);
	assert_int_equal(PARSE("url", "--inner", "y"), 0);
	assert_string_equal(given()->secret_file, "y");
}

static void wrong_use_is_named(void **state)
{
	static const struct {
		const char *words[4];
		const char *message;
	} cases[] = {
		{{"url", "--bogus"}, "unknown option '--bogus'"},
		{{"url", "--bogus=secret"}, "unknown option '--bogus'"},
		{{"url", "-Z"}, "unknown option '-Z'"},
		{{"url", "-fZ"}, "unknown option '-Z'"},
		{{"url", "--flag=yes"}, "option '--flag' takes no value"},
		{{"url", "--count"}, "option '--count' needs a value"},
		{{"url", "-n"}, "option '-n' needs a value"},
		{{"url", "--count", "ten"}, "--count: 'ten' is not a number"},
		{{"url", "--count=-1"}, "--count: '-1' is not a number"},
		{{"url", "--run-time", "10"}, "--run-time: '10' is not a time"},
		{{"url", "--mode", "wai"}, "--mode: 'wai' is none of wait|drop"},
		{{"url", "--mode", ""}, "--mode: '' is none of wait|drop"},
		{{"url", "--no-count"}, "unknown option '--no-count'"},
		{{"a", "b", "c"}, "unexpected argument 'c'"},
		{{NULL}, "run needs URL"},
		{{"url", "-q", "--verbose"}, "--verbose and --quiet cannot both be"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		assert_int_equal(parse(cases[i].words), ERR_USAGE);
		assert_contains(e.msg, cases[i].message);
		assert_not_contains(e.msg, "secret");
		opt_release(&cl);
	}
}

static void what_was_meant_is_guessed(void **state)
{
	static const struct {
		const char *words[4];
		const char *message, *hint;
	} cases[] = {
		{{"url", "--cuont"}, "unknown option '--cuont'", "did you mean --count?"},
		{{"url", "--run-tim=1s"}, NULL, NULL},
		{{"url", "--runtime=1s"}, "unknown option '--runtime'", "did you mean --run-time?"},
		{{"url", "--m=wait"}, NULL, NULL},
		{{"url", "--f", "--o", "--"}, NULL, NULL},
		{{"url", "--bogus"}, "unknown option '--bogus'", "run --help lists the options"},
		{{"url", "--x"}, "unknown option '--x'", "run --help lists the options"},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		int r = parse(cases[i].words);

		if (cases[i].message) {
			assert_int_equal(r, ERR_USAGE);
			assert_contains(e.msg, cases[i].message);
			assert_contains(e.hint, cases[i].hint);
		} else {
			assert_int_equal(r, 0);
		}
		opt_release(&cl);
	}
}

static void a_bad_environment_or_file_is_named(void **state)
{
	(void)state;
	setenv("MQAUDIT_COUNT", "many", 1);
	assert_int_equal(PARSE("url"), ERR_USAGE);
	assert_contains(e.msg, "MQAUDIT_COUNT");
	unsetenv("MQAUDIT_COUNT");
	opt_release(&cl);

	setenv("MQAUDIT_FLAG", "maybe", 1);
	assert_int_equal(PARSE("url"), ERR_USAGE);
	unsetenv("MQAUDIT_FLAG");
	opt_release(&cl);

	assert_int_equal(PARSE("url", "--config", "/nowhere/at/all"), ERR_NOTFOUND);
	opt_release(&cl);
	assert_int_equal(PARSE("url", "--config", folder), ERR_IO);
	opt_release(&cl);

	/* the first of two errors counts, and a good line behind it changes nothing */
	write_config("[run]\ncount = many\nsize = 5\nbogus = 1\n");
	assert_int_equal(PARSE("url", "--config", config), ERR_USAGE);
	assert_contains(e.msg, "line 2");
	assert_contains(e.msg, "'many' is not a number");
	opt_release(&cl);

	write_config("[run]\nbogus = 1\n");
	assert_int_equal(PARSE("url", "--config", config), ERR_USAGE);
	assert_contains(e.msg, "'run' has no option 'bogus'");
	opt_release(&cl);

	/* with a section that nobody has, what stands in it would be ignored without a word */
	write_config("count = 1\n[lab up]\nx = 1\n[rnu]\ncount = 2\n");
	assert_int_equal(PARSE("url", "--config", config), ERR_USAGE);
	assert_contains(e.msg, "line 5");
	assert_contains(e.msg, "'rnu' is named as no command");
	opt_release(&cl);

	write_config("[run]\nno equals sign\n");
	assert_int_equal(PARSE("url", "--config", config), ERR_USAGE);
	assert_contains(e.msg, "not 'name = value'");
}

static void a_config_line_is_never_cut_silently(void **state)
{
	char text[600];

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "text = ", 7);
	text[198] = '\0';
	write_config(text);
	assert_int_equal(PARSE("url", "--config", config), 0);
	assert_int_equal(strlen(given()->text), 198 - 7);
	opt_release(&cl);
	text[198] = 'x';
	text[199] = '\0';
	write_config(text);
	assert_int_equal(PARSE("url", "--config", config), ERR_USAGE);
	assert_contains(e.msg, "line 1: longer than");
}

static void help_stops_the_parse_and_can_be_released(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--help"), 0);
	assert_true(cl.help);
	opt_release(&cl);
	assert_int_equal(PARSE("a", "-h", "--bogus", "b", "c"), 0);
	assert_true(cl.help);
}

/* What a printing function prints. The caller frees it. */
static char *printed(void (*print)(FILE *to))
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	print(to);
	fclose(to);
	return text;
}

static void print_help(FILE *to)
{
	opt_help(&commands[0], to);
}

static void print_overview(FILE *to)
{
	opt_overview(commands, N_COMMANDS, to);
}

static void print_man(FILE *to)
{
	opt_man(commands, N_COMMANDS, to);
}

static void print_bash(FILE *to)
{
	assert_int_equal(opt_completion(commands, N_COMMANDS, "bash", to, NULL), 0);
}

static void print_zsh(FILE *to)
{
	assert_int_equal(opt_completion(commands, N_COMMANDS, "zsh", to, NULL), 0);
}

static void print_fish(FILE *to)
{
	assert_int_equal(opt_completion(commands, N_COMMANDS, "fish", to, NULL), 0);
}

static void every_text_names_every_option_but_the_hidden(void **state)
{
	static const struct {
		void (*print)(FILE *to);
		const char *before;
		bool roff;
	} texts[] = {{print_help, "--", false}, {print_man, "\\-\\-", true},
		{print_bash, "--", false}, {print_zsh, "--", false}, {print_fish, "-l ", false}};

	(void)state;
	for (size_t i = 0; i < N_OF(texts); i++) {
		char *text = printed(texts[i].print);

		for (const struct opt *o = rows; o->name; o++) {
			char name[80];

			snprintf(name, sizeof(name), "%s%s", texts[i].before,
				texts[i].roff && strcmp(o->name, "run-time") == 0 ? "run\\-time"
										  : o->name);
			if (o->hidden)
				assert_not_contains(text, name);
			else
				assert_contains(text, name);
		}
		for (const struct opt *o = opt_common(); o->name; o++)
			assert_contains(text, o->name);
		assert_not_contains(text, "inside");
		free(text);
	}
}

static void help_has_groups_defaults_and_no_empty_heading(void **state)
{
	char *text = printed(print_help);

	(void)state;
	assert_contains(text, "Usage: mqaudit run [OPTIONS] URL\n");
	assert_contains(text, "\nNumbers:\n");
	assert_contains(text, "How many. (default: 10k)");
	assert_contains(text, "-n, --count N");
	assert_contains(text, "mqaudit run x\n");
	assert_not_contains(text, "Inside");
	for (const char *p = text; *p;) {
		size_t n = strcspn(p, "\n");

		assert_true(n <= 100);
		p += n + (p[n] == '\n');
	}
	free(text);
	text = printed(print_overview);
	assert_contains(text, "  lab up           start\n");
	assert_not_contains(text, "inside");
	free(text);
}

static void the_man_page_has_no_warnings(void **state)
{
	char path[80], *text = printed(print_man);
	/* what man says against it goes to standard error, the page to a file */
	const char *argv[] = {
		"sh", "-c", "man --warnings -l -E UTF-8 \"$0\" >\"$0.txt\"", path, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	char page[100], found[200], *shown = NULL;
	struct buf out;
	int code;

	(void)state;
	if (!proc_find_program("man", found, sizeof(found)))
		skip();
	snprintf(path, sizeof(path), "%s/mqaudit.1", folder);
	snprintf(page, sizeof(page), "%s.txt", path);
	assert_int_equal(paths_write_file(path, text, strlen(text), NULL), 0);
	spec.argv = argv;
	spec.env = (const char *[]){"MANWIDTH=80", "LC_ALL=C.UTF-8", NULL};
	buf_init(&out, BUF_MAX_DEFAULT);
	assert_int_equal(proc_run(&spec, NULL, true, INT64_C(20000000000), &out, &code, &e), 0);
	assert_int_equal(code, 0);
	assert_string_equal(buf_str(&out), "");
	assert_int_equal(paths_read_file(page, 100000, &shown, NULL, &e), 0);
	assert_contains(shown, "run-time");
	assert_contains(shown, ".A text\\with 'roff' in it.");
	assert_contains(shown, ".Second");
	free(shown);
	unlink(page);
	buf_release(&out);
	unlink(path);
	free(text);
}

/* What bash would offer for a line whose last word is being typed. */
static void bash_offers(const char *words, int at, struct buf *out)
{
	char *script = printed(print_bash), line[8192];
	const char *argv[] = {"bash", "-c", line, NULL};
	struct proc_spec spec = PROC_SPEC_INIT;
	int code = -1;

	snprintf(line, sizeof(line),
		"%s\nCOMP_WORDS=(%s); COMP_CWORD=%d; _mqaudit; echo \" ${COMPREPLY[*]} \"", script,
		words, at);
	spec.argv = argv;
	spec.cwd = folder;
	buf_clear(out);
	assert_int_equal(proc_run(&spec, NULL, true, INT64_C(20000000000), out, &code, &e), 0);
	assert_int_equal(code, 0);
	free(script);
}

static void bash_completes_commands_their_second_words_and_options(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, BUF_MAX_DEFAULT);
	bash_offers("mqaudit ''", 1, &out);
	assert_string_equal(buf_str(&out), " run runs lab \n");
	bash_offers("mqaudit lab ''", 2, &out);
	assert_string_equal(buf_str(&out), " up \n");
	bash_offers("mqaudit lab up --mo", 3, &out);
	assert_string_equal(buf_str(&out), " --mode \n");
	bash_offers("mqaudit run --c", 2, &out);
	assert_string_equal(buf_str(&out), " --count --config \n");
	/* "runs" begins with "run", and has none of its options */
	bash_offers("mqaudit runs --c", 2, &out);
	assert_string_equal(buf_str(&out), " --config \n");
	bash_offers("mqaudit runs d", 2, &out);
	assert_string_equal(buf_str(&out), " delete \n");
	buf_release(&out);
}

static char long_help[5001];

static void print_long_help(FILE *to)
{
	struct opt two[] = {rows[3], {0}};
	struct command c = commands[0];

	two[0].help = long_help;
	c.opts = two;
	opt_help(&c, to);
}

static void a_long_help_text_is_not_cut(void **state)
{
	char *text;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(long_help) - 1; i++)
		long_help[i] = i % 5 == 4 ? ' ' : 'w';
	text = printed(print_long_help);
	for (const char *p = text; (p = strstr(p, "wwww")); p += 4)
		n++;
	assert_int_equal(n, 1000);
	assert_contains(text, "(default: wait)\n");
	free(text);
}

static void fish_texts_are_quoted(void **state)
{
	char *text = printed(print_fish);

	(void)state;
	assert_contains(text, "-d 'list somebody\\'s runs'");
	free(text);
}

static void unknown_shells_are_refused(void **state)
{
	(void)state;
	assert_int_equal(opt_completion(commands, N_COMMANDS, "csh", stderr, &e), ERR_USAGE);
}

static void the_longest_command_name_wins(void **state)
{
	static const struct {
		const char *words[3];
		const char *name;
		int n;
	} cases[] = {
		{{"run", "x"}, "run", 1},
		{{"runs", "delete", "x"}, "runs delete", 2},
		{{"runs", "x"}, "runs", 1},
		{{"lab", "up"}, "lab up", 2},
		{{"lab"}, NULL, 0},
		{{"ru"}, NULL, 0},
		{{"lab up"}, NULL, 0},
		{{""}, NULL, 0},
		{{NULL}, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < N_OF(cases); i++) {
		const struct command *c;
		int argc = 0, words;

		while (argc < 3 && cases[i].words[argc])
			argc++;
		c = opt_find(
			commands, N_COMMANDS, argc, (char **)(uintptr_t)cases[i].words, &words);
		assert_int_equal(words, cases[i].n);
		if (cases[i].name)
			assert_string_equal(c->name, cases[i].name);
		else
			assert_null(c);
	}
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(config, sizeof(config), "%s/config", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return paths_remove_tree(folder, NULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, clean)

static const struct opt other_rows[] = {
	{.name = "list", .type = OPT_LIST, .arg = "X", .offset = 0, .help = "The same."},
	{.name = "run-time",
		.type = OPT_DURATION,
		.arg = "TIME",
		.offset = 16,
		.help = "The same."},
	{.name = "flag", .type = OPT_FLAG, .offset = 24, .help = "The same."},
	{.name = "count", .type = OPT_COUNT, .arg = "N", .offset = 32, .help = "The same."},
	{.name = "stranger", .type = OPT_FLAG, .offset = 25, .help = "Not ours."},
	{0},
};

static void what_was_given_goes_on_to_a_command_that_knows_it(void **state)
{
	const struct command other = {.name = "other", .opts = other_rows, .opts_size = 48};
	char **args = NULL;
	size_t n = 0;

	(void)state;
	setenv("MQAUDIT_COUNT", "3k", 1);
	assert_int_equal(PARSE("--no-flag", "--run-time=1500ms", "-X", "a=1", "--text",
				 "unknown there", "-X", "b = 2", "kafka://a/b"),
		0);
	assert_int_equal(opt_forward(&cl, &other, &args, &n, &e), 0);
	assert_int_equal(n, 6);
	assert_string_equal(args[0], "other");
	assert_string_equal(args[1], "--no-flag");
	assert_string_equal(args[2], "--count=3000");
	assert_string_equal(args[3], "--run-time=1500000000ns");
	assert_string_equal(args[4], "--list=a=1");
	assert_string_equal(args[5], "--list=b = 2");
	assert_null(args[6]);
	opt_forward_free(args);
}

static void what_is_forwarded_is_read_to_the_same(void **state)
{
	char **args = NULL;
	struct opts first;
	size_t n = 0;

	(void)state;
	assert_int_equal(PARSE("-f", "--no-other", "-t", "--x", "--mode=drop", "-n5M", "--size=1k",
				 "--run-time=7us", "-X", "=", "kafka://a/b"),
		0);
	first = *given();
	assert_int_equal(opt_forward(&cl, &commands[0], &args, &n, &e), 0);
	opt_release(&cl);
	assert_int_equal(
		opt_parse(commands, N_COMMANDS, &commands[0], (int)n - 1, args + 1, &cl, &e),
		ERR_USAGE); /* no URL */
	assert_int_equal(given()->flag, first.flag);
	assert_int_equal(given()->other, first.other);
	assert_string_equal(given()->text, "--x");
	assert_string_equal(given()->mode, "drop");
	assert_int_equal(given()->count, first.count);
	assert_int_equal(given()->size, first.size);
	assert_int_equal(given()->time_ns, first.time_ns);
	assert_int_equal(given()->list.n, 1);
	assert_string_equal(given()->list.item[0], "=");
	opt_forward_free(args);
}

static void nothing_given_is_nothing_forwarded(void **state)
{
	char **args = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(PARSE("kafka://a/b"), 0);
	assert_int_equal(opt_forward(&cl, &commands[0], &args, &n, &e), 0);
	assert_int_equal(n, 1);
	opt_forward_free(args);
	opt_forward_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_type_is_read),
		TEST(what_was_given_goes_on_to_a_command_that_knows_it),
		TEST(what_is_forwarded_is_read_to_the_same),
		TEST(nothing_given_is_nothing_forwarded),
		TEST(defaults_hold_where_nothing_is_given),
		TEST(a_flag_beats_the_environment_beats_the_file_beats_the_default),
		TEST(the_environment_names_a_config_file_too),
		TEST(hidden_options_come_from_flags_only),
		TEST(wrong_use_is_named),
		TEST(what_was_meant_is_guessed),
		TEST(a_bad_environment_or_file_is_named),
		TEST(a_config_line_is_never_cut_silently),
		TEST(help_stops_the_parse_and_can_be_released),
		TEST(every_text_names_every_option_but_the_hidden),
		TEST(help_has_groups_defaults_and_no_empty_heading),
		TEST(the_man_page_has_no_warnings),
		TEST(bash_completes_commands_their_second_words_and_options),
		TEST(a_long_help_text_is_not_cut),
		TEST(fish_texts_are_quoted),
		TEST(unknown_shells_are_refused),
		TEST(the_longest_command_name_wins),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
