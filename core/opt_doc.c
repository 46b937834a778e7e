/* What the option tables say to people and shells: --help, the man page, completion. */
#include "core/opt.h"

#include <string.h>

#define WIDTH 96
#define HELP_COLUMN 35 /* where the explanation of an option begins */

/*
 * Words of text, wrapped to WIDTH columns, each line indented; the first continues at column `at`.
 * Returns the column where it ended.
 */
static int wrap(FILE *to, const char *text, int indent, int at)
{
	while (*text) {
		size_t len = strcspn(text, " \n");

		if (at > indent && at + 1 + (int)len > WIDTH) {
			fprintf(to, "\n%*s", indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', to);
			at++;
		} else if (at < indent) {
			fprintf(to, "%*s", indent - at, "");
			at = indent;
		}
		fwrite(text, 1, len, to);
		at += (int)len;
		text += len;
		if (*text == '\n') {
			fputc('\n', to);
			at = 0;
			text++;
		} else if (*text) {
			text++;
		}
	}
	return at;
}

static void option_row(FILE *to, const struct opt *o)
{
	int n = fprintf(to, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
		o->letter ? "," : " ", o->name, o->arg ? " " : "", o->arg ? o->arg : "");

	if (n > HELP_COLUMN - 2) {
		fputc('\n', to);
		n = 0;
	}
	n = wrap(to, o->help, HELP_COLUMN, n);
	if (o->dflt && o->type != OPT_FLAG) {
		bool fits = n + (int)(strlen(" (default: )") + strlen(o->dflt)) <= WIDTH;

		fprintf(to, "%s%*s(default: %s)", fits ? "" : "\n", fits ? 1 : HELP_COLUMN, "",
			o->dflt);
	}
	fputc('\n', to);
}

/* Lines of examples, each indented by two, however the table has them. */
static void example_lines(FILE *to, const char *text, void (*put)(FILE *, const char *, size_t))
{
	while (*text) {
		size_t len;

		text += strspn(text, " ");
		len = strcspn(text, "\n");
		if (len)
			fputs("  ", to);
		put(to, text, len);
		fputc('\n', to);
		text += len + (text[len] == '\n');
	}
}

static void plain_part(FILE *to, const char *text, size_t len)
{
	fwrite(text, 1, len, to);
}

void opt_help(const struct command *c, FILE *to)
{
	const char *group = NULL;

	fprintf(to, "Usage: mqaudit %s%s%s%s\n\n", c->name, c->opts ? " [OPTIONS]" : "",
		*c->args ? " " : "", c->args);
	wrap(to, c->description, 0, 0);
	fputc('\n', to);
	if (c->examples) {
		fputs("\nExamples:\n", to);
		example_lines(to, c->examples, plain_part);
	}
	for (const struct opt *o = c->opts; o && o->name; o++) {
		if (o->group)
			group = o->group;
		if (o->hidden)
			continue;
		if (group)
			fprintf(to, "\n%s:\n", group);
		group = NULL;
		option_row(to, o);
	}
	fprintf(to, "\nCommon:\n");
	for (const struct opt *o = opt_common(); o->name; o++)
		option_row(to, o);
	fprintf(to, "\nEvery long option can be set as environment variable MQAUDIT_<NAME> too.\n");
}

void opt_overview(const struct command *all, size_t n, FILE *to)
{
	fprintf(to,
		"mqaudit: did every message arrive, exactly once, and if not, where did it go?\n\n"
		"Usage: mqaudit COMMAND [OPTIONS] [ARGUMENTS]\n\n");
	for (size_t i = 0; i < n; i++)
		if (!all[i].hidden)
			fprintf(to, "  %-16s %s\n", all[i].name, all[i].summary);
	fprintf(to,
		"\nmqaudit COMMAND --help explains a command, mqaudit --version says what is built in.\n"
		"Exit codes: 0 pass, 1 findings that break the promise, 2 usage, 3 error,\n"
		"4 undecided or no data.\n");
}

bool opt_family(const struct command *all, size_t n, const char *word, FILE *to)
{
	size_t len = strlen(word);
	bool any = false;

	for (size_t i = 0; i < n; i++) {
		if (all[i].hidden || strncmp(all[i].name, word, len) != 0 ||
			all[i].name[len] != ' ')
			continue;
		any = true;
		if (to)
			fprintf(to, "  mqaudit %-16s %s\n", all[i].name, all[i].summary);
	}
	return any;
}

static void roff_part(FILE *to, const char *text, size_t len)
{
	bool line_start = true;

	for (size_t i = 0; i < len; i++) {
		if (line_start && (text[i] == '.' || text[i] == '\''))
			fputs("\\&", to);
		line_start = text[i] == '\n';
		if (text[i] == '\\')
			fputs("\\e", to);
		else if (text[i] == '-')
			fputs("\\-", to);
		else
			fputc(text[i], to);
	}
}

static void roff(FILE *to, const char *text)
{
	roff_part(to, text, strlen(text));
}

static void man_option(FILE *to, const struct opt *o)
{
	fputs(".TP\n", to);
	if (o->letter)
		fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", to);
	roff(to, o->name);
	fputs("\\fR", to);
	if (o->arg) {
		fputs(" \\fI", to);
		roff(to, o->arg);
		fputs("\\fR", to);
	}
	fputc('\n', to);
	roff(to, o->help);
	if (o->dflt && o->type != OPT_FLAG) {
		fputs(" (default: ", to);
		roff(to, o->dflt);
		fputc(')', to);
	}
	fputc('\n', to);
}

/* Paragraphs: an empty line in the text becomes .PP */
static void man_text(FILE *to, const char *text)
{
	for (const char *p = text; *p;) {
		const char *end = strstr(p, "\n\n");
		size_t len = end ? (size_t)(end - p) : strlen(p);

		fputs(".PP\n", to);
		roff_part(to, p, len);
		fputc('\n', to);
		p += len;
		p += strspn(p, "\n");
	}
}

void opt_man(const struct command *all, size_t n, FILE *to)
{
	fprintf(to,
		".TH MQAUDIT 1 \"\" \"mqaudit\" \"User Commands\"\n.SH NAME\n"
		"mqaudit \\- end\\-to\\-end auditor of message loss and duplication\n.SH SYNOPSIS\n"
		".B mqaudit\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n"
		"A probe publishes messages that carry a consecutive sequence number per producer id "
		"and partition. A checker reads them back and records what it saw in PostgreSQL. "
		"The verdict names every message that is missing or repeated, and the stage where it "
		"happened.\n.SH COMMANDS\n");
	for (size_t i = 0; i < n; i++) {
		const struct command *c = &all[i];

		if (c->hidden)
			continue;
		fprintf(to, ".SS \"mqaudit %s%s", c->name, *c->args ? " " : "");
		roff(to, c->args);
		fputs("\"\n", to);
		man_text(to, c->description);
		for (const struct opt *o = c->opts; o && o->name; o++)
			if (!o->hidden)
				man_option(to, o);
		if (c->examples) {
			fputs(".PP\nExamples:\n.PP\n.nf\n", to);
			example_lines(to, c->examples, roff_part);
			fputs(".fi\n", to);
		}
	}
	fputs(".SH OPTIONS OF EVERY COMMAND\n", to);
	for (const struct opt *o = opt_common(); o->name; o++)
		man_option(to, o);
	fputs(".SH EXIT STATUS\n.TP\n.B 0\npass\n.TP\n.B 1\nfindings that break the promise\n.TP\n.B 2\n"
	      "usage\n.TP\n.B 3\nerror\n.TP\n.B 4\nundecided or no data\n.TP\n.B 130\ninterrupted twice\n"
	      ".SH ENVIRONMENT\n.TP\n.B MQAUDIT_STATE\nthe folder of the embedded ledger, the journals "
	      "and the labs\n.TP\n.B MQAUDIT_<NAME>\nthe value of option \\-\\-<name>\n.TP\n.B NO_COLOR\n"
	      "no colours\n",
		to);
}

/* --- completion --- */

static void words_of(FILE *to, const struct command *c)
{
	for (const struct opt *o = c->opts; o && o->name; o++)
		if (!o->hidden)
			fprintf(to, " --%s", o->name);
	for (const struct opt *o = opt_common(); o->name; o++)
		fprintf(to, " --%s", o->name);
}

static size_t first_word(const char *name)
{
	return strcspn(name, " ");
}

/* Is all[i] the first of the table that is shown and begins with its first word? */
static bool is_first_of_word(const struct command *all, size_t i)
{
	size_t n = first_word(all[i].name);

	for (size_t j = 0; j < i; j++)
		if (!all[j].hidden && first_word(all[j].name) == n &&
			memcmp(all[j].name, all[i].name, n) == 0)
			return false;
	return !all[i].hidden;
}

/* The first words of all commands, each once. */
static void commands_of(FILE *to, const struct command *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_first_of_word(all, i))
			fprintf(to, " %.*s", (int)first_word(all[i].name), all[i].name);
}

/* The second words of the commands that begin like all[i]. Returns whether there are any. */
static bool subcommands_of(FILE *to, const struct command *all, size_t n, size_t i)
{
	size_t len = first_word(all[i].name);
	bool any = false;

	for (size_t j = 0; j < n; j++) {
		const char *name = all[j].name;

		if (all[j].hidden || strncmp(name, all[i].name, len) != 0 || name[len] != ' ')
			continue;
		if (to)
			fprintf(to, " %s", name + len + 1);
		any = true;
	}
	return any;
}

/* How a shell's completion function spells the same cases. */
struct shell {
	const char *pattern; /* one command and what could stand behind its name: %s */
	const char *exact;   /* a command of two words: %s */
	const char *words;   /* begins the list of words */
	const char *end;     /* ends it */
};

/* One line a command: two words stand before one, for the first match wins. */
static void cases(FILE *to, const struct command *all, size_t n, const struct shell *sh)
{
	for (int two = 1; two >= 0; two--) {
		for (size_t i = 0; i < n; i++) {
			if (all[i].hidden || (strchr(all[i].name, ' ') != NULL) != two)
				continue;
			fprintf(to, "\t%s%s%s%s", sh->pattern, all[i].name,
				two ? sh->exact : " \"*) ", sh->words);
			words_of(to, &all[i]);
			fputs(sh->end, to);
		}
	}
}

/* And one for each first word that has second ones. */
static void subcommand_cases(FILE *to, const struct command *all, size_t n, const struct shell *sh)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_first_of_word(all, i) || !subcommands_of(NULL, all, n, i))
			continue;
		fprintf(to, "\t%.*s) %s", (int)first_word(all[i].name), all[i].name, sh->words);
		subcommands_of(to, all, n, i);
		if (!strchr(all[i].name, ' '))
			words_of(to, &all[i]);
		fputs(sh->end, to);
	}
}

static void completion_bash(const struct command *all, size_t n, FILE *to)
{
	static const struct shell sh = {"\"", "\") ", "words='", "' ;;\n"};

	fputs("_mqaudit() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	      "\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n",
		to);
	cases(to, all, n, &sh);
	fputs("\tesac\n\tif [ \"$COMP_CWORD\" -eq 2 ]; then case ${COMP_WORDS[1]} in\n", to);
	subcommand_cases(to, all, n, &sh);
	fputs("\tesac; fi\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then words='", to);
	commands_of(to, all, n);
	fputs("'; fi\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "\t[ \"${#COMPREPLY[@]}\" -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\n"
	      "complete -F _mqaudit mqaudit\n",
		to);
}

static void completion_zsh(const struct command *all, size_t n, FILE *to)
{
	static const struct shell sh = {"(\"", "\") ", "w=(", ") ;;\n"};

	fputs("#compdef mqaudit\nlocal -a w\ncase \"$words[2] $words[3]\" in\n", to);
	cases(to, all, n, &sh);
	fputs("esac\nif (( CURRENT == 3 )); then case $words[2] in\n", to);
	subcommand_cases(to, all, n, &sh);
	fputs("esac; fi\n(( CURRENT == 2 )) && w=(", to);
	commands_of(to, all, n);
	fputs(")\ncompadd -a w || _files\n", to);
}

/* A text inside single quotes of fish. */
static void fish_text(FILE *to, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', to);
		fputc(*text, to);
	}
}

/* When a command of these words is on the line. */
static void fish_condition(FILE *to, const char *name)
{
	size_t n = first_word(name);

	fprintf(to, "complete -c mqaudit -n '__fish_seen_subcommand_from %.*s", (int)n, name);
	if (name[n])
		fprintf(to, "; and __fish_seen_subcommand_from %s", name + n + 1);
	fputs("'", to);
}

static void completion_fish(const struct command *all, size_t n, FILE *to)
{
	for (size_t i = 0; i < n; i++) {
		const struct command *c = &all[i];
		size_t first = first_word(c->name);

		if (c->hidden)
			continue;
		if (is_first_of_word(all, i)) {
			fprintf(to, "complete -c mqaudit -n __fish_use_subcommand -a '%.*s' -d '",
				(int)first, c->name);
			fish_text(to, c->name[first] ? "" : c->summary);
			fputs("'\n", to);
		}
		if (c->name[first]) {
			fprintf(to,
				"complete -c mqaudit -n '__fish_seen_subcommand_from %.*s' -a '%s' -d '",
				(int)first, c->name, c->name + first + 1);
			fish_text(to, c->summary);
			fputs("'\n", to);
		}
		for (const struct opt *o = c->opts; o && o->name; o++) {
			if (o->hidden)
				continue;
			fish_condition(to, c->name);
			fprintf(to, " -l %s%s\n", o->name, o->type == OPT_FLAG ? "" : " -r");
		}
	}
	for (const struct opt *o = opt_common(); o->name; o++)
		fprintf(to, "complete -c mqaudit -l %s%s\n", o->name, o->arg ? " -r" : "");
}

int opt_completion(const struct command *all, size_t n, const char *shell, FILE *to, struct err *e)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash(all, n, to);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(all, n, to);
	else if (strcmp(shell, "fish") == 0)
		completion_fish(all, n, to);
	else
		return err_set(
			e, ERR_USAGE, "no completion for shell '%s': bash, zsh or fish", shell);
	return 0;
}
