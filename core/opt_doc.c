/* What the option tables say to people and shells: --help, the man page, completion. */
#include "core/opt.h"

#include <string.h>

#define WIDTH 96

/* Words of text, wrapped to WIDTH columns, each line indented; the first continues at column `at`. */
static void wrap(FILE *to, const char *text, int indent, int at)
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
	fputc('\n', to);
}

static void option_row(FILE *to, const struct opt *o)
{
	char left[80];
	int n;

	n = snprintf(left, sizeof(left), "  %c%c%s --%s%s%s", o->letter ? '-' : ' ',
		o->letter ? o->letter : ' ', o->letter ? "," : " ", o->name, o->arg ? " " : "",
		o->arg ? o->arg : "");
	fputs(left, to);
	if (n > 33) {
		fputc('\n', to);
		n = 0;
	}
	if (o->dflt && o->type != OPT_FLAG) {
		char help[1024];

		snprintf(help, sizeof(help), "%s (default: %s)", o->help, o->dflt);
		wrap(to, help, 35, n);
	} else {
		wrap(to, o->help, 35, n);
	}
}

static const struct opt common_rows[] = {
	{.name = "config", .arg = "FILE", .type = OPT_STRING,
		.help = "Read options from an INI file: name = value, in a section named as the command, "
			"or above all sections."},
	{.name = "verbose", .letter = 'v', .help = "Say more."},
	{.name = "quiet", .letter = 'q', .help = "Only warnings and errors."},
	{.name = "help", .letter = 'h', .help = "Show this help."},
	{0},
};

void opt_help(const struct command *c, FILE *to)
{
	fprintf(to, "Usage: mqaudit %s%s%s%s\n\n", c->name, c->opts ? " [OPTIONS]" : "",
		*c->args ? " " : "", c->args);
	wrap(to, c->description, 0, 0);
	if (c->examples)
		fprintf(to, "\nExamples:\n%s", c->examples);
	for (const struct opt *o = c->opts; o && o->name; o++) {
		if (o->group)
			fprintf(to, "\n%s:\n", o->group);
		if (!o->hidden)
			option_row(to, o);
	}
	fprintf(to, "\nCommon:\n");
	for (const struct opt *o = common_rows; o->name; o++)
		option_row(to, o);
	fprintf(to, "\nEvery long option can be set as environment variable MQAUDIT_<NAME> too.\n");
}

void opt_overview(const struct command *all, size_t n, FILE *to)
{
	fprintf(to, "mqaudit: did every message arrive, exactly once, and if not, where did it go?\n\n"
		    "Usage: mqaudit COMMAND [OPTIONS] [ARGUMENTS]\n\n");
	for (size_t i = 0; i < n; i++)
		if (!all[i].hidden)
			fprintf(to, "  %-16s %s\n", all[i].name, all[i].summary);
	fprintf(to, "\nmqaudit COMMAND --help explains a command, mqaudit --version says what is built in.\n"
		    "Exit codes: 0 pass, 1 findings that break the promise, 2 usage, 3 error,\n"
		    "4 undecided or no data.\n");
}

static void roff(FILE *to, const char *text)
{
	bool line_start = true;

	for (; *text; text++) {
		if (line_start && (*text == '.' || *text == '\''))
			fputs("\\&", to);
		line_start = *text == '\n';
		if (*text == '\\')
			fputs("\\e", to);
		else if (*text == '-')
			fputs("\\-", to);
		else
			fputc(*text, to);
	}
}

static void man_option(FILE *to, const struct opt *o)
{
	fputs(".TP\n", to);
	if (o->letter)
		fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
	fputs("\\fB\\-\\-", to);
	roff(to, o->name);
	fputs("\\fR", to);
	if (o->arg)
		fprintf(to, " \\fI%s\\fR", o->arg);
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
		char para[4096];
		size_t len = end ? (size_t)(end - p) : strlen(p);

		if (len >= sizeof(para))
			len = sizeof(para) - 1;
		memcpy(para, p, len);
		para[len] = '\0';
		fputs(".PP\n", to);
		roff(to, para);
		fputc('\n', to);
		p += len;
		p += strspn(p, "\n");
	}
}

void opt_man(const struct command *all, size_t n, FILE *to)
{
	fprintf(to, ".TH MQAUDIT 1 \"\" \"mqaudit\" \"User Commands\"\n.SH NAME\n"
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
			roff(to, c->examples);
			fputs(".fi\n", to);
		}
	}
	fputs(".SH OPTIONS OF EVERY COMMAND\n", to);
	for (const struct opt *o = common_rows; o->name; o++)
		man_option(to, o);
	fputs(".SH EXIT STATUS\n.TP\n.B 0\npass\n.TP\n.B 1\nfindings that break the promise\n.TP\n.B 2\n"
	      "usage\n.TP\n.B 3\nerror\n.TP\n.B 4\nundecided or no data\n.TP\n.B 130\ninterrupted twice\n"
	      ".SH ENVIRONMENT\n.TP\n.B MQAUDIT_STATE\nthe folder of the embedded ledger, the journals "
	      "and the labs\n.TP\n.B MQAUDIT_<NAME>\nthe value of option \\-\\-<name>\n.TP\n.B NO_COLOR\n"
	      "no colours\n", to);
}

static void words_of(FILE *to, const struct command *c, const char *before, const char *after)
{
	for (const struct opt *o = c->opts; o && o->name; o++)
		if (!o->hidden)
			fprintf(to, "%s--%s%s", before, o->name, after);
	for (const struct opt *o = common_rows; o->name; o++)
		fprintf(to, "%s--%s%s", before, o->name, after);
}

static void completion_bash(const struct command *all, size_t n, FILE *to)
{
	fputs("_mqaudit() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} words=\n"
	      "\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n", to);
	/* two-word commands stand before one-word ones: the first match wins */
	for (int two = 1; two >= 0; two--) {
		for (size_t i = 0; i < n; i++) {
			if (all[i].hidden || (strchr(all[i].name, ' ') != NULL) != two)
				continue;
			fprintf(to, "\t\"%s\"*) words='", all[i].name);
			words_of(to, &all[i], " ", "");
			fputs("' ;;\n", to);
		}
	}
	fputs("\tesac\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then words='", to);
	for (size_t i = 0; i < n; i++)
		if (!all[i].hidden)
			fprintf(to, " %s", all[i].name);
	fputs("'; fi\n\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
	      "\t[ \"${#COMPREPLY[@]}\" -gt 0 ] || mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n}\n"
	      "complete -F _mqaudit mqaudit\n", to);
}

static void completion_zsh(const struct command *all, size_t n, FILE *to)
{
	fputs("#compdef mqaudit\nlocal -a w\ncase \"$words[2] $words[3]\" in\n", to);
	for (int two = 1; two >= 0; two--) {
		for (size_t i = 0; i < n; i++) {
			if (all[i].hidden || (strchr(all[i].name, ' ') != NULL) != two)
				continue;
			fprintf(to, "(\"%s\"*) w=(", all[i].name);
			words_of(to, &all[i], " ", "");
			fputs(") ;;\n", to);
		}
	}
	fputs("esac\n(( CURRENT == 2 )) && w=(", to);
	for (size_t i = 0; i < n; i++)
		if (!all[i].hidden)
			fprintf(to, " %s", all[i].name);
	fputs(")\ncompadd -a w || _files\n", to);
}

static void completion_fish(const struct command *all, size_t n, FILE *to)
{
	for (size_t i = 0; i < n; i++) {
		const struct command *c = &all[i];
		int first = (int)strcspn(c->name, " ");

		if (c->hidden)
			continue;
		fprintf(to, "complete -c mqaudit -n __fish_use_subcommand -a '%.*s' -d '%s'\n", first,
			c->name, c->summary);
		for (const struct opt *o = c->opts; o && o->name; o++)
			if (!o->hidden)
				fprintf(to, "complete -c mqaudit -n '__fish_seen_subcommand_from %.*s' "
					    "-l %s\n",
					first, c->name, o->name);
	}
}

int opt_completion(
	const struct command *all, size_t n, const char *shell, FILE *to, struct err *e)
{
	if (strcmp(shell, "bash") == 0)
		completion_bash(all, n, to);
	else if (strcmp(shell, "zsh") == 0)
		completion_zsh(all, n, to);
	else if (strcmp(shell, "fish") == 0)
		completion_fish(all, n, to);
	else
		return err_set(e, ERR_USAGE, "no completion for shell '%s': bash, zsh or fish", shell);
	return 0;
}
