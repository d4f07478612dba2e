/*
 * sendmail_opt: the command line of sendmail, mailq and newaliases.
 *
 * Called by main. Callers of sendmail pass options of forty years: those that mean something here set a field, the
 * others are accepted and ignored, one that nobody knows is a warning.
 */
#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include "mail/hdr.h"
#include "sendmail.h"
#include "base/xmalloc.h"

#define OPTIONS "A:B:b:C:cd::E::e::F:f:Gh:IiJ::L:mN:nO:o:p:q::R:r:stUV:vX:x"

void
strings_add(struct strings *s, const char *text)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 16 : s->cap * 2;
		s->v = xreallocarray(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->n++] = xstrdup(text);
}

static void
set_mode(struct options *o, const char *arg)
{
	static const struct { char letter; enum mode mode; } modes[] = {
		{ 'm', MODE_SEND }, { 'p', MODE_LIST }, { 'i', MODE_ALIASES },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (arg[0] == modes[i].letter && arg[1] == '\0') {
			o->mode = modes[i].mode;
			return;
		}
	errx(EX_USAGE, "-b%s: this sendmail has -bm (send), -bp (list the queue) and -bi (newaliases)", arg);
}

/* -q alone: try everything now; -q5m was for a daemon. More of a choice is posternctl's. */
static void
set_queue(struct options *o, const char *arg)
{
	static const struct { char letter; const char *condition; } parts[] = { { 'I', "id=" }, { 'R', "to=" }, { 'S', "from=" } };

	o->mode = MODE_NOTHING;
	if (arg == NULL) {
		o->mode = MODE_RUN;
		o->run = "all";
		return;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (*arg == parts[i].letter) {
			o->mode = MODE_RUN;
			o->run = xasprintf("%s%s", parts[i].condition, arg + 1);
		}
	if (o->mode == MODE_NOTHING && strchr("G!Q", *arg) != NULL && *arg != '\0')
		errx(EX_USAGE, "-q%s: use posternctl queue retry", arg);
}

/* -f '' and -f '<>' are the null sender; one pair of brackets is stripped. */
static const char *
sender_text(const char *arg)
{
	size_t n = strlen(arg);

	if (n >= 2 && arg[0] == '<' && arg[n - 1] == '>')
		return xstrndup(arg + 1, n - 2);
	return arg;
}

static void
set_o(struct options *o, const char *arg)
{
	if (strcmp(arg, "i") == 0)
		o->dot_is_text = true;
}

static const char *
one_of(const char *arg, const char *const *words, const char *option)
{
	for (size_t i = 0; words[i] != NULL; i++)
		if (strcasecmp(arg, words[i]) == 0)
			return words[i];
	errx(EX_USAGE, "%s %s: not a value of that option", option, arg);
}

static const char *
notify_text(const char *arg)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY", NULL };
	struct buf list = BUF_INIT;
	char *copy = xstrdup(arg), *rest = copy, *word;

	if (strcasecmp(arg, "never") == 0) {
		free(copy);
		return "NEVER";
	}
	while ((word = strsep(&rest, ",")) != NULL)
		buf_addf(&list, "%s%s", list.len > 0 ? "," : "", one_of(word, words, "-N"));
	free(copy);
	return buf_str(&list);
}

static void
set_option(struct options *o, int opt, const char *arg)
{
	static const char *const ret[] = { "FULL", "HDRS", NULL };

	switch (opt) {
	case 'b': set_mode(o, arg); break;
	case 'F': o->full_name = arg; break;
	case 'f':
	case 'r': o->sender = sender_text(arg); break;
	case 'I': o->mode = MODE_ALIASES; break;
	case 'i': o->dot_is_text = true; break;
	case 'N': o->notify = notify_text(arg); break;
	case 'o': set_o(o, arg); break;
	case 'q': set_queue(o, arg); break;
	case 'R': o->ret = one_of(arg, ret, "-R"); break;
	case 't': o->from_header = true; break;
	case 'V': o->envid = arg; break;
	default: break;			/* known elsewhere, without a meaning here */
	}
}

static void
add_rcpt(void *arg, const char *addr)
{
	strings_add(arg, addr);
}

/* "a@x, b@y" as one word is split, by the grammar of the header. */
static void
add_operand(struct options *o, const char *word)
{
	if (hdr_addresses(word, strlen(word), add_rcpt, &o->rcpts) == -1)
		errx(EX_DATAERR, "\"%s\" is not an address; write user@domain", word);
}

void
options_read(struct options *o, int argc, char **argv)
{
	int opt;

	memset(o, 0, sizeof(*o));
	for (int i = 1; i < argc; i++)
		if (strpbrk(argv[i], "\r\n") != NULL)
			errx(EX_USAGE, "a line end in an argument");
	if (strcmp(getprogname(), "mailq") == 0)
		o->mode = MODE_LIST;
	else if (strcmp(getprogname(), "newaliases") == 0)
		o->mode = MODE_ALIASES;
	opterr = 0;
	while ((opt = getopt(argc, argv, OPTIONS)) != -1) {
		if (opt == '?')
			warnx("option -%c is not known or lacks its value; ignored", optopt);
		else
			set_option(o, opt, optarg);
	}
	for (int i = optind; i < argc; i++)
		add_operand(o, argv[i]);
}
