/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tty.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/mem.h"

void tty_raw(struct tty *t)
{
	struct termios raw;

	if (t->is_raw || tcgetattr(0, &t->saved))
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	t->is_raw = !tcsetattr(0, TCSANOW, &raw);
}

void tty_restore(struct tty *t)
{
	if (t->is_raw)
		tcsetattr(0, TCSADRAIN, &t->saved);
	t->is_raw = false;
}

bool tty_size(int *ret_rows, int *ret_cols)
{
	struct winsize w;

	if (ioctl(1, TIOCGWINSZ, &w) && ioctl(0, TIOCGWINSZ, &w))
		return false;
	if (!w.ws_row || !w.ws_col)
		return false;
	*ret_rows = w.ws_row;
	*ret_cols = w.ws_col;
	return true;
}

/* "ctrl-p" or "a" as one byte; 0: neither */
static unsigned char key_byte(const char *word)
{
	size_t len = strlen(word);

	if (len == 1)
		return (unsigned char)*word;
	if (len != 6 || strncmp(word, "ctrl-", 5))
		return 0;
	if (word[5] >= 'a' && word[5] <= 'z')
		return (unsigned char)(word[5] - 'a' + 1);
	return strchr("@[\\]^_", word[5]) ? (unsigned char)(word[5] - '@') : 0;
}

struct err *keys_parse(const char *text, struct keys *ret)
{
	OWN(mem) char *copy = xstrdup(text);
	struct keys k = { 0 };
	char *save = NULL;

	for (char *w = strtok_r(copy, ",", &save); w; w = strtok_r(NULL, ",", &save)) {
		unsigned char byte = key_byte(w);

		if (!byte || k.n == KEYS_MAX)
			return err_new(ERR_INVALID, "detach keys \"%s\": not like ctrl-p,ctrl-q",
				       text);
		k.seq[k.n++] = byte;
	}
	*ret = k;
	return NULL;
}

bool keys_filter(struct keys *k, const unsigned char *in, size_t len, unsigned char *out,
		 size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (k->n && in[i] == k->seq[k->matched]) {
			if (++k->matched < k->n)
				continue;
			*ret_len = n;
			k->matched = 0;
			return true;
		}
		memcpy(out + n, k->seq, k->matched);
		n += k->matched;
		k->matched = k->n && in[i] == k->seq[0] && k->n > 1;
		if (!k->matched)
			out[n++] = in[i];
	}
	*ret_len = n;
	return false;
}
