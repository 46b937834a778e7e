#ifndef CORE_OPT_H
#define CORE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

/*
 * The command line. One table of options per command drives parsing, environment, config file, --help,
 * the man page and shell completion, so that they cannot disagree.
 *
 * A command keeps its options in a struct of its own; each row says where in it the value goes.
 * Precedence: flag, environment MQAUDIT_<NAME>, --config FILE (INI), default.
 */

enum opt_type {
	OPT_FLAG,     /* bool; --name or --no-name */
	OPT_STRING,   /* const char *; NULL when not given */
	OPT_CHOICE,   /* const char *, one of row->choices ("wait|drop") */
	OPT_COUNT,    /* uint64_t: 500, 10k, 1.5M */
	OPT_SIZE,     /* uint64_t bytes: 100, 64k */
	OPT_DURATION, /* int64_t ns: 500ms, 10s, 5m */
	OPT_LIST,     /* struct opt_list; may be repeated */
};

struct opt_list {
	const char **item;
	size_t n;
};

struct opt {
	const char *name; /* long name, without dashes; NULL ends a table */
	char letter;      /* short name, or 0 */
	enum opt_type type;
	const char *arg;     /* what the value is called in help: "FILE"; NULL for flags */
	size_t offset;       /* where in the command's struct the value goes: offsetof() */
	const char *dflt;    /* the default as one would type it; NULL: none, 0 or false */
	const char *choices; /* OPT_CHOICE: "a|b|c" */
	const char *group;   /* heading in help; NULL: that of the row before */
	const char *help;    /* one or more sentences */
	bool hidden; /* for mqaudit's own processes: not in help, man page, completion, environment */
};

struct cmdline;

struct command {
	const char *name;               /* "run", or "lab up" */
	const char *args;               /* positional arguments in help: "URL"; "" for none */
	const char *summary;            /* one line, lower case, no full stop */
	const char *description;        /* paragraphs of plain text */
	const char *examples;           /* lines "# what\ncommand\n", or NULL; shown indented */
	const struct opt *opts;         /* table, ended by a row without a name; NULL: none */
	size_t opts_size;               /* sizeof the command's struct */
	int min_args, max_args;         /* positional arguments; max -1: any number */
	int (*run)(struct cmdline *cl); /* returns the exit code; prints its own errors */
	bool hidden;
};

/* A parsed command line: given to command->run, freed by opt_release(). */
struct cmdline {
	const struct command *command;
	const struct command *all; /* the table that the command came from */
	size_t n_all;
	void *opts; /* the command's struct, filled */
	int argc;   /* positional arguments */
	char **argv;
	bool help;    /* --help was there: nothing else was checked */
	bool verbose; /* -v, --verbose */
	bool quiet;   /* -q, --quiet */
	const char *config;
	/* private */
	uint8_t *given;
	void *strings;
	size_t n_strings;
};

/*
 * Parse argv (what stands behind the command's name) for a command, one of a table of all: a config file
 * has sections for any of them, and for nothing else.
 *
 * Values are copied where they do not live in argv or the environment. A list that a flag, the
 * environment or the config file gives replaces its default. After --help nothing more is looked at. Returns 0, ERR_USAGE, ERR_NOMEM or, for an
 * unreadable --config, ERR_NOTFOUND. cl must be released also after a failure.
 */
MUST_CHECK int opt_parse(const struct command *all, size_t n_all, const struct command *command,
	int argc, char **argv, struct cmdline *cl, struct err *e);
void opt_release(struct cmdline *cl);

/*
 * The options that every command has behind its own: --config, --verbose, --quiet, --help; a table ended
 * by a row without a name. Their values go into struct cmdline itself.
 */
const struct opt *opt_common(void);

/* Was the option set by flag, environment or config file (and not left at its default)? */
bool opt_given(const struct cmdline *cl, const char *name);

/*
 * What was given to cl, as arguments for another command: each given option that `to` has by name too
 * becomes "--name=value". *ret is a NULL-terminated array of malloc'ed strings, the command's name first,
 * freed by opt_forward_free(). Returns 0 or ERR_NOMEM.
 */
MUST_CHECK int opt_forward(const struct cmdline *cl, const struct command *to, char ***ret,
	size_t *ret_n, struct err *e);
void opt_forward_free(char **args);

/*
 * Help for one command, to a stream; for all, a man page (roff), and completion scripts for bash, zsh and
 * fish. They show what the tables hold, but for what is hidden.
 */
void opt_help(const struct command *command, FILE *to);
void opt_overview(const struct command *all, size_t n, FILE *to);
void opt_man(const struct command *all, size_t n, FILE *to);
MUST_CHECK int opt_completion(
	const struct command *all, size_t n, const char *shell, FILE *to, struct err *e);

/*
 * Find the command that the first words of argv name; the longest name wins ("lab up" before "lab").
 * ret_words gets how many words it took. NULL when there is none.
 */
const struct command *opt_find(
	const struct command *all, size_t n, int argc, char **argv, int *ret_words);

/*
 * The commands that begin with this word and have a second one ("lab": "lab up" and so on), each with its
 * summary, to a stream; nothing of hidden ones. Returns whether there are any; without `to` (NULL) it
 * only tells that.
 */
bool opt_family(const struct command *all, size_t n, const char *word, FILE *to);

#endif
