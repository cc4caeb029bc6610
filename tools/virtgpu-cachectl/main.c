// SPDX-License-Identifier: GPL-2.0-or-later
/* virtgpu-cachectl: commands, options, and which goes with which. */

#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cachectl.h"
#include "files.h"

/**
 * struct option_help - an option
 * @letter: what it is called in struct command, in capitals if that is all
 * @is_short: it can be given by the letter, too
 * @name: its long name
 * @argument: what it takes, or NULL
 * @help: what it does
 */
struct option_help {
	char letter;
	bool is_short;
	const char *name;
	const char *argument;
	const char *help;
};

static const struct option_help option_table[] = {
	{ 'd', true, "device", "DEVICE",
	  "only this one: virtio0, card0 or what it is on" },
	{ 'J', true, "json", NULL, "print JSON" },
	{ 'n', true, "noheadings", NULL, "print no headings" },
	{ 'r', true, "raw", NULL, "print columns one blank apart" },
	{ 'b', true, "bytes", NULL, "print plain numbers: bytes, milliseconds" },
	{ 'o', true, "output", "COLUMNS",
	  "print these, with commas between; +COLUMNS: also" },
	{ 'O', true, "output-all", NULL, "print all columns" },
	{ 'L', false, "list-columns", NULL, "say what columns and keys there are" },
	{ 'P', false, "persist", NULL,
	  "for good, by a udev rule; for all devices without --device" },
	{ 'T', false, "tier", "TIER", "only resource, pages or purgeable" },
	{ 'a', true, "all", "TIME", "record all that happens for so long" },
	{ 'f', true, "file", "FILE", "record into it, not into trace.dat" },
	{ 'H', false, "html", "FILE", "write a page with plots" },
	{ 'W', false, "wait", NULL, "wait as long as the host takes" },
	{ 'G', false, "guest", "SOCKET", "the agent of a guest; as an argument" },
	{ 'C', false, "cgroup", "DIR",
	  "watch the memory of this cgroup, not the machine's" },
	{ 'U', false, "stall", "TIME",
	  "memory is short when tasks wait for so long in a second" },
	{ 'D', false, "cool-down", "TIME",
	  "how long to do nothing when guests have purged" },
	{ '1', false, "once", NULL, "purge now, and end" },
	{ 'N', false, "dry-run", NULL, "only say what would be done" },
	/* For all commands */
	{ 'S', false, "sysroot", "DIR", "take DIR for the root folder" },
	{ 'h', true, "help", NULL, "say how it is used" },
	{ 'V', true, "version", NULL, "say which version this is" },
};

#define OPTIONS ARRAY_SIZE(option_table)

static const char for_all[] = "ShV";

struct command {
	const char *name;
	const char *arguments;
	const char *help;
	const char *options;	/* letters */
	int min, max;		/* arguments; -1: any number */
	command_fn *run;
};

/* The first is what is done without a command. */
static const struct command commands[] = {
	{ "", "", "one line a device", "dJnrboOL", 0, 0, cmd_list },
	{ "show", "[DEVICE]", "all that there is to know", "dJnrb", 0, 1,
	  cmd_show },
	{ "get", "KEY...", "print knobs or counters, one a line", "db", 1, -1,
	  cmd_get },
	{ "set", "KEY=VALUE...", "turn knobs, all or none", "dP", 1, -1,
	  cmd_set },
	{ "reset", "", "turn all knobs to what devices start with", "dP", 0, 0,
	  cmd_reset },
	{ "purge", "", "drop what is held, and say what it was", "dJnrbTW", 0,
	  0, cmd_purge },
	{ "top", "[INTERVAL]", "watch it on a terminal", "d", 0, 1, cmd_top },
	{ "stat", "[INTERVAL [COUNT]]", "watch it in lines", "dnb", 0, 2,
	  cmd_stat },
	{ "metrics", "", "print OpenMetrics", "d", 0, 0, cmd_metrics },
	{ "doctor", "", "look for what keeps the cache from working", "Jnr", 0,
	  0, cmd_doctor },
	{ "record", "[--] [COMMAND...]", "trace the cache while it runs", "af",
	  0, -1, cmd_record },
	{ "report", "TRACE", "what happened in a trace", "dJnrbH", 1, 1,
	  cmd_report },
	{ "advise", "TRACE", "the knobs that a trace asks for", "dJnrb", 1, 1,
	  cmd_advise },
	{ "host", "SOCKET|DIR...",
	  "have guests purge when this machine's memory is short", "bGCUD1N", 1,
	  -1, cmd_host },
};

/* Its arguments are another program's: no option of ours is among them */
static bool is_foreign(const char *command)
{
	return !strcmp(command, "record");
}

static bool goes_with(const struct command *command,
		      const struct option_help *option)
{
	return strchr(for_all, option->letter) ||
	       strchr(command->options, option->letter);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static void print_option(const struct option_help *option)
{
	char *name = format("--%s%s%s", option->name,
			    option->argument ? " " : "",
			    option->argument ? option->argument : "");

	if (option->is_short)
		printf("  -%c, %-20s %s\n", option->letter, name, option->help);
	else
		printf("      %-20s %s\n", name, option->help);
	free(name);
}

static void print_help(const struct command *command)
{
	printf("Usage: virtgpu-cachectl%s%s [OPTION...]%s%s\n",
	       *command->name ? " " : "", command->name,
	       *command->arguments ? " " : "", command->arguments);
	if (!*command->name)
		puts("       virtgpu-cachectl COMMAND [OPTION...] [ARGUMENT...]");
	printf("\nThe BO cache of virtio GPUs: %s.\n\nOptions:\n",
	       command->help);
	for (size_t i = 0; i < OPTIONS; i++)
		if (goes_with(command, &option_table[i]))
			print_option(&option_table[i]);
	if (!*command->name) {
		puts("\nCommands (COMMAND --help says more):");
		for (size_t i = 1; i < ARRAY_SIZE(commands); i++)
			printf("  %-8s %-19s %s\n", commands[i].name,
			       commands[i].arguments, commands[i].help);
	}
	puts("\nSee virtgpu-cachectl(8).");
}

static enum status usage_error(const struct command *command)
{
	advise("'virtgpu-cachectl%s%s --help' says how it is used",
	       *command->name ? " " : "", command->name);
	return USAGE;
}

static enum status set_sysroot(const char *path)
{
	int error = root_set(path);

	if (!error)
		return DONE;
	complain("--sysroot: %s: %s", path, strerror(error));
	advise("it takes a folder that has sys/ and proc/");
	return FAILED;
}

static enum status set_option(struct options *opts, int letter,
			      const char *argument)
{
	switch (letter) {
	case 'd':
		opts->device = argument;
		break;
	case 'J':
		opts->json = true;
		break;
	case 'n':
		opts->noheadings = true;
		break;
	case 'r':
		opts->raw = true;
		break;
	case 'b':
		opts->bytes = true;
		break;
	case 'o':
		opts->columns = argument;
		break;
	case 'O':
		opts->all_columns = true;
		break;
	case 'L':
		opts->list_columns = true;
		break;
	case 'P':
		opts->persist = true;
		break;
	case 'T':
		opts->tier = argument;
		break;
	case 'a':
		opts->all = argument;
		break;
	case 'f':
		opts->file = argument;
		break;
	case 'H':
		opts->html = argument;
		break;
	case 'C':
		opts->cgroup = argument;
		break;
	case 'U':
		opts->stall = argument;
		break;
	case 'D':
		opts->cool_down = argument;
		break;
	case '1':
		opts->once = true;
		break;
	case 'N':
		opts->dry_run = true;
		break;
	case 'W':
		opts->wait = true;
		break;
	case 'S':
		return set_sysroot(argument);
	}
	return DONE;
}

/* For getopt_long(): made of the table; arguments come as the option 1 */
static void getopt_tables(struct option *longs, char *letters)
{
	*letters++ = '-';
	for (size_t i = 0; i < OPTIONS; i++) {
		longs[i].name = option_table[i].name;
		longs[i].has_arg = option_table[i].argument != NULL;
		longs[i].flag = NULL;
		longs[i].val = option_table[i].letter;
		if (!option_table[i].is_short)
			continue;
		*letters++ = option_table[i].letter;
		if (option_table[i].argument)
			*letters++ = ':';
	}
	memset(&longs[OPTIONS], 0, sizeof(*longs));
	*letters = '\0';
}

static size_t option_index(char letter)
{
	size_t i = 0;

	while (option_table[i].letter != letter)
		i++;
	return i;
}

/*
 * They may stand anywhere, so all are read before the command is known, but for
 * those of a foreign command's.  What is no option goes to ARGS, which ends with
 * NULL.
 */
static enum status read_options(int argc, char **argv, struct options *opts,
				bool *given, char **args)
{
	struct option longs[OPTIONS + 1];
	enum status status = DONE;
	char letters[2 * OPTIONS + 2];
	char **arg = args;
	int letter;

	getopt_tables(longs, letters);
	/* What getopt_long() complains as */
	argv[0] = (char *)"virtgpu-cachectl";
	while (!status &&
	       (letter = getopt_long(argc, argv, letters, longs, NULL)) >= 0) {
		if (letter == '?')
			return usage_error(&commands[0]);
		if (letter == 1) {
			*arg++ = optarg;
			if (arg - args == 2 && is_foreign(args[0]))
				break;
			continue;
		}
		given[option_index(letter)] = true;
		if (letter == 'G')
			*arg++ = optarg;
		status = set_option(opts, letter, optarg);
	}
	memcpy(arg, &argv[optind], (argc - optind) * sizeof(*arg));
	arg[argc - optind] = NULL;
	return status;
}

static enum status check(const struct command *command, const bool *given,
			 int argc)
{
	const char *name = *command->name ? command->name :
			   "the list of devices";

	for (size_t i = 0; i < OPTIONS; i++) {
		if (!given[i] || goes_with(command, &option_table[i]))
			continue;
		complain("--%s does not go with %s", option_table[i].name,
			 name);
		return usage_error(command);
	}
	if (argc >= command->min &&
	    (command->max < 0 || argc <= command->max))
		return DONE;
	complain("%s: too %s arguments", name,
		 argc < command->min ? "few" : "many");
	return usage_error(command);
}

static enum status run_command(const struct options *opts, const bool *given,
			       char **args)
{
	const struct command *command = &commands[0];
	enum status status;
	int n = 0;

	if (*args) {
		command = find_command(*args);
		if (!command || command == &commands[0]) {
			complain("unknown command '%s'", *args);
			return usage_error(&commands[0]);
		}
		args++;
	}
	if (given[option_index('h')]) {
		print_help(command);
		return DONE;
	}
	while (args[n])
		n++;
	status = check(command, given, n);
	return status ? status : command->run(opts, n, args);
}

static enum status run(int argc, char **argv)
{
	char **args = checked(calloc(argc + 1, sizeof(*args)));
	bool given[OPTIONS] = { false };
	struct options opts = { 0 };
	enum status status;

	status = read_options(argc, argv, &opts, given, args);
	if (!status && given[option_index('V')])
		puts("virtgpu-cachectl " VERSION);
	else if (!status)
		status = run_command(&opts, given, args);
	free(args);
	return status;
}

int main(int argc, char **argv)
{
	enum status status;

	/* For names and graphs; numbers are written as everywhere */
	setlocale(LC_CTYPE, "");
	status = end_of_output(run(argc, argv));
	root_close();
	return status;
}
