/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "util/mem.h"

/*
 * Completion: the shell's script asks `hostel __complete WORD...` for candidates, so that the
 * option tables stay the one place that knows.  The last word is the one under the cursor.
 */

static const struct command *find_sub(const struct command *cmd, const char *name)
{
	for (size_t i = 0; i < cmd->n_subs; i++)
		if (streq(cmd->subs[i].name, name))
			return &cmd->subs[i];
	return NULL;
}

static void offer(const char *word, const char *candidate)
{
	if (!strncmp(candidate, word, strlen(word)))
		printf("%s\n", candidate);
}

static void offer_options(const struct command *cmd, const char *word)
{
	const struct opt *o;

	for (size_t i = 0; (o = opt_each(cmd, i)); i++) {
		OWN(mem) char *text = xasprintf("--%s", o->name);

		offer(word, text);
	}
}

static void offer_words(const char *words, const char *word)
{
	OWN(mem) char *copy = xstrdup(words);
	char *save = NULL;

	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		offer(word, w);
}

/* Names from hosteld; without one there are none. */
static void offer_names(struct cli *c, const char *path, const char *list, const char *key,
			const char *word)
{
	OWN(json) json_t *doc = NULL;
	OWN(err) struct err *e = cli_call(c, "GET", NULL, &doc, path);
	const json_t *item, *tag, *items = list ? json_object_get(doc, list) : doc;
	size_t i, k;

	if (e)
		return;
	json_array_foreach(items, i, item)
	{
		const json_t *value = json_object_get(item, key);

		if (json_is_string(value))
			offer(word, json_string_value(value));
		json_array_foreach(value, k, tag) offer(word, json_string_value(tag));
	}
}

static void offer_what(struct cli *c, enum opt_what what, const char *word)
{
	switch (what) {
	case WHAT_INSTANCE:
		offer_names(c, "/hostel/v1/instances?all=true", NULL, "name", word);
		return;
	case WHAT_WAITING:
		offer_names(c, "/hostel/v1/queue", NULL, "name", word);
		return;
	case WHAT_IMAGE:
		offer_names(c, "/images/json", NULL, "RepoTags", word);
		return;
	case WHAT_VOLUME:
		offer_names(c, "/volumes", "Volumes", "Name", word);
		return;
	case WHAT_NETWORK:
		offer_names(c, "/networks", NULL, "Name", word);
		return;
	case WHAT_KERNEL:
		offer_names(c, "/hostel/v1/kernels", NULL, "name", word);
		return;
	case WHAT_USER:
		offer_names(c, "/hostel/v1/quotas", NULL, "user", word);
		return;
	case WHAT_TRUSTED:
		offer_names(c, "/hostel/v1/trust", NULL, "name", word);
		return;
	case WHAT_FILE:
		printf(":file\n");
		return;
	case WHAT_NOTHING:
		return;
	}
}

/* The option that the word before the cursor leaves without a value; NULL: none */
static const struct opt *open_option(const struct command *cmd, const char *before)
{
	const struct opt *o;

	if (!before || before[0] != '-' || strchr(before, '='))
		return NULL;
	for (size_t i = 0; (o = opt_each(cmd, i)); i++)
		if (o->type != OPT_FLAG && ((before[1] == '-' && streq(before + 2, o->name)) ||
					    (before[1] == o->letter && !before[2])))
			return o;
	return NULL;
}

struct err *cmd_complete(struct cli *c, const struct args *a)
{
	const struct command *cmd = cli_root(), *sub;
	const char *word = a->n_rest ? a->rest[a->n_rest - 1] : "";
	const char *before = a->n_rest > 1 ? a->rest[a->n_rest - 2] : NULL;
	const struct opt *o;
	size_t at = 0;

	while (at + 1 < a->n_rest && cmd->n_subs && (sub = find_sub(cmd, a->rest[at]))) {
		cmd = sub;
		at++;
	}
	o = at + 1 < a->n_rest ? open_option(cmd, before) : NULL;
	if (o && o->choices)
		offer_words(o->choices, word);
	else if (o)
		offer_what(c, o->what, word);
	else if (word[0] == '-')
		offer_options(cmd, word);
	else if (cmd->n_subs)
		for (size_t i = 0; i < cmd->n_subs; i++) {
			if (!cmd->subs[i].is_hidden)
				offer(word, cmd->subs[i].name);
		}
	else
		offer_what(c, cmd->what, word);
	return NULL;
}

static const char bash_script[] =
    "# bash completion for hostel; load with: source <(hostel completion bash)\n"
    "_hostel()\n"
    "{\n"
    "\tlocal words cword cur line\n"
    "\tcur=${COMP_WORDS[COMP_CWORD]}\n"
    "\twords=(\"${COMP_WORDS[@]:1:COMP_CWORD}\")\n"
    "\tCOMPREPLY=()\n"
    "\twhile IFS= read -r line; do\n"
    "\t\tif [ \"$line\" = :file ]; then\n"
    "\t\t\tcompopt -o filenames\n"
    "\t\t\tmapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
    "\t\telse\n"
    "\t\t\tCOMPREPLY+=(\"$line\")\n"
    "\t\tfi\n"
    "\tdone < <(hostel __complete -- \"${words[@]}\" 2>/dev/null)\n"
    "}\n"
    "complete -F _hostel hostel\n";

static const char zsh_script[] =
    "#compdef hostel\n"
    "# zsh completion for hostel; load with: source <(hostel completion zsh)\n"
    "_hostel()\n"
    "{\n"
    "\tlocal -a found\n"
    "\tfound=(\"${(@f)$(hostel __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "\tif [[ ${found[(r):file]} == :file ]]; then\n"
    "\t\t_files\n"
    "\telse\n"
    "\t\tcompadd -a found\n"
    "\tfi\n"
    "}\n"
    "compdef _hostel hostel\n";

static const char fish_script[] =
    "# fish completion for hostel; load with: hostel completion fish | source\n"
    "function __hostel\n"
    "\tset -l words (commandline -opc)[2..-1] (commandline -ct)\n"
    "\tfor line in (hostel __complete -- $words 2>/dev/null)\n"
    "\t\tif test \"$line\" = :file\n"
    "\t\t\t__fish_complete_path (commandline -ct)\n"
    "\t\telse\n"
    "\t\t\techo $line\n"
    "\t\tend\n"
    "\tend\n"
    "end\n"
    "complete -c hostel -f -a '(__hostel)'\n";

struct err *cmd_completion(struct cli *c, const struct args *a)
{
	static const struct {
		const char *shell, *script;
	} scripts[] = {
		{ "bash", bash_script },
		{ "zsh", zsh_script },
		{ "fish", fish_script },
	};

	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++)
		if (streq(scripts[i].shell, a->rest[0])) {
			fputs(scripts[i].script, stdout);
			return NULL;
		}
	return err_new(ERR_INVALID, "\"%s\": one of bash, zsh, fish", a->rest[0]);
}

/* ---- the tables as lines, for the check of the manual page ---- */

static void list_options(const struct command *cmd, const char *parent)
{
	const struct opt *o;

	printf("%s%s%s\t%s\t%s\n", parent, *parent ? " " : "", cmd->name,
	       cmd->usage ? cmd->usage : "", cmd->summary);
	for (size_t i = 0; (o = opt_each(cmd, i)); i++)
		if (strcmp(o->name, "help"))
			printf("\t%c\t%s\t%s\t%s\n", o->letter ? o->letter : '-', o->name,
			       o->arg ? o->arg : "", o->help);
}

struct err *cmd_options(struct cli *c, const struct args *a)
{
	const struct command *root = cli_root();

	for (size_t i = 0; i < root->n_subs; i++) {
		const struct command *cmd = &root->subs[i];

		if (cmd->is_hidden)
			continue;
		if (cmd->run)
			list_options(cmd, "");
		for (size_t k = 0; k < cmd->n_subs; k++)
			list_options(&cmd->subs[k], cmd->name);
	}
	return NULL;
}
