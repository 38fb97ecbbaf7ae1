/* SPDX-License-Identifier: Apache-2.0 */
#include "files/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tar/stream.h"
#include "util/fd.h"
#include "util/mem.h"
#include "util/test.h"

static void names_must_be_below_what_was_asked_for(void **state)
{
	static const struct {
		const char *base, *name;
		bool ok;
	} names[] = {
		{ "etc", "etc/", true },
		{ "etc", "etc/passwd", true },
		{ "passwd", "passwd", true },
		{ "/", "/bin/sh", true },
		{ "/", "/", true },
		{ ".", "./passwd", true },
		{ "", "bin/", true },
		{ "", "bin/sh", true },
		{ "etc", "etcetera", false },
		{ "etc", "passwd", false },
		{ "etc", "/etc/passwd", false },
		{ "etc", "etc/../passwd", false },
		{ "etc", "etc/..", false },
		{ "etc", "etc//x", false },
		{ "etc", "etc/./x", false },
		{ "/", "bin/sh", false },
		{ "/", "//bin", false },
		{ "/", "/../x", false },
		{ "", "/bin/sh", false },
		{ "", "../x", false },
		{ "", "a/../../x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct err *e = files_check_name(names[i].base, names[i].name);

		if (!e != names[i].ok)
			fail_msg("\"%s\" below \"%s\": %s", names[i].name, names[i].base,
				 e ? err_text(e) : "taken");
		if (e)
			assert_int_equal(err_kind(e), ERR_CORRUPT);
		err_free(e);
	}
}

static void base_names_are_gos(void **state)
{
	static const char *const names[][2] = {
		{ "/etc/passwd", "passwd" },
		{ "/etc/", "etc" },
		{ "/", "/" },
		{ "//", "/" },
		{ "", "/" },
		{ "/etc/.", "." },
		{ "a", "a" },
		{ "/a/..", ".." },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		OWN(mem) char *got = files_base_name(names[i][0]);

		assert_string_equal(got, names[i][1]);
	}
}

/* ---- a guest that answers as it is told, and what the asking end makes of it ---- */

struct asked {
	char *stat;     /* what the callback was told */
	struct str out; /* the tree, as our own stream */
};

static void own_asked_release(struct asked *a)
{
	free(a->stat);
	str_done(&a->out);
}

static void on_stat(void *arg, const json_t *stat)
{
	struct asked *a = arg;

	a->stat = jx_text(stat);
}

static struct asked *current; /* tar_writer's constructor has no argument */

static struct err *to_str(void *arg, const void *data, size_t n)
{
	str_add(&((struct asked *)arg)->out, data, n);
	return NULL;
}

static struct err *new_writer(int fd, struct tar_writer **ret)
{
	(void)fd;
	*ret = tar_stream_writer_new((struct tar_sink) { to_str, current });
	return NULL;
}

static struct err *new_reader(struct source in, struct tar_reader **ret)
{
	*ret = tar_stream_reader_new(in);
	return NULL;
}

/* A request by @op for /etc against a child that runs @guest on its end. */
static struct err *ask_against(const char *op, void (*guest)(int fd), struct source in,
			       struct asked *a, json_t **ret)
{
	OWN(json) json_t *request = json_pack("{s:s, s:s}", "op", op, "path", "/etc");
	struct files_client c = { .op = op,
				  .request = request,
				  .in = in,
				  .stat = on_stat,
				  .arg = a,
				  .reader = new_reader,
				  .writer = new_writer };
	int pair[2];
	struct err *e;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	pid = fork();
	if (!pid) {
		close(pair[0]);
		guest(pair[1]);
		_exit(0);
	}
	close(pair[1]);
	current = a;
	c.fd = pair[0];
	e = files_ask(&c, ret);
	close(pair[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return e;
}

static void say(int fd, const char *text)
{
	struct tar_sink out = tar_sink_fd(&fd);

	err_free(tar_stream_put(&out, TAR_TEXT, text, strlen(text)));
}

static void hear(int fd)
{
	OWN(str) struct str body = { 0 };
	unsigned kind;

	err_free(tar_stream_get(source_fd(&fd), &kind, &body));
}

static void send_names(int fd, const char *const *names)
{
	OWN(tar_writer) struct tar_writer *w = tar_stream_writer_new(tar_sink_fd(&fd));

	for (; *names; names++)
		err_free(
		    tar_writer_entry(w, &(struct tar_entry) { .name = *names, .type = TAR_DIR }));
	err_free(tar_writer_finish(w));
}

static void good_guest(int fd)
{
	hear(fd);
	say(fd, "{\"stat\":{\"name\":\"etc\"}}");
	send_names(fd, (const char *const[]) { "etc/", "etc/x", NULL });
	say(fd, "{\"done\":{\"a\":1}}");
}

static void a_get_is_told_its_stat_and_gets_the_tree(void **state)
{
	OWN(asked) struct asked a = { 0 };
	OWN(json) json_t *done = NULL;

	(void)state;
	assert_ok(ask_against("get", good_guest, (struct source) { 0 }, &a, &done));
	assert_string_equal(a.stat, "{\"name\":\"etc\"}");
	assert_int_equal(jx_int(done, "a", 0), 1);
	assert_non_null(memmem(a.out.buf, a.out.len, "etc/x", 5));
}

static void refusing_guest(int fd)
{
	hear(fd);
	say(fd, "{\"error\":{\"kind\":1,\"text\":\"Could not find it\"}}");
	hear(fd);
}

static void climbing_guest(int fd)
{
	hear(fd);
	say(fd, "{\"stat\":{\"name\":\"etc\"}}");
	send_names(fd, (const char *const[]) { "etc/", "etc/../../x", NULL });
	say(fd, "{\"done\":{}}");
}

static void failing_guest(int fd)
{
	OWN(tar_writer) struct tar_writer *w = tar_stream_writer_new(tar_sink_fd(&fd));

	hear(fd);
	say(fd, "{\"stat\":{\"name\":\"etc\"}}");
	err_free(tar_writer_entry(w, &(struct tar_entry) { .name = "etc/", .type = TAR_DIR }));
	say(fd, "{\"error\":{\"kind\":5,\"text\":\"the disk is broken\"}}");
}

static void dying_guest(int fd)
{
	hear(fd);
	say(fd, "{\"stat\":{\"name\":\"etc\"}}");
}

static void mad_guest(int fd)
{
	hear(fd);
	err_free(fd_write_all(fd, "no such exec\r\n", 14));
}

static void silent_guest(int fd)
{
	hear(fd);
}

static void what_goes_wrong_in_a_guest_is_an_error(void **state)
{
	static const struct {
		void (*guest)(int fd);
		enum err_kind kind;
		const char *text;
	} guests[] = {
		{ refusing_guest, (enum err_kind)1, "Could not find it" },
		{ climbing_guest, ERR_CORRUPT, "etc/../../x" },
		{ failing_guest, (enum err_kind)5, "the disk is broken" },
		{ dying_guest, ERR_CORRUPT, "ends early" },
		{ mad_guest, ERR_CORRUPT, "makes no sense" },
		{ silent_guest, ERR_UNAVAILABLE, "ended" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		OWN(asked) struct asked a = { 0 };
		OWN(json) json_t *done = NULL;
		OWN(err)
		struct err *e =
		    ask_against("get", guests[i].guest, (struct source) { 0 }, &a, &done);

		if (!e || err_kind(e) != guests[i].kind || !strstr(err_text(e), guests[i].text))
			fail_msg("%zu: %s", i, e ? err_text(e) : "nothing");
	}
}

/* An archive without end: a put must not wait for it when the guest has refused already. */
struct endless {
	struct str head;
	size_t at;
};

static struct err *head_to(void *arg, const void *data, size_t n)
{
	str_add(arg, data, n);
	return NULL;
}

static struct err *read_endless(void *arg, void *buf, size_t size, size_t *ret_n)
{
	struct endless *x = arg;

	*ret_n = 0;
	if (x->at == x->head.len)
		x->at = 0;
	while (*ret_n < size && x->at < x->head.len)
		((char *)buf)[(*ret_n)++] = x->head.buf[x->at++];
	return NULL;
}

static void a_put_that_is_refused_ends_at_once(void **state)
{
	struct endless x = { 0 };
	OWN(asked) struct asked a = { 0 };
	OWN(json) json_t *done = NULL;
	OWN(err) struct err *e = NULL;
	OWN(tar_writer)
	struct tar_writer *w = tar_stream_writer_new((struct tar_sink) { head_to, &x.head });

	(void)state;
	assert_ok(tar_writer_entry(w, &(struct tar_entry) { .name = "f", .type = TAR_DIR }));
	e = ask_against("put", refusing_guest, (struct source) { read_endless, &x }, &a, &done);
	assert_non_null(e);
	assert_string_equal(err_text(e), "Could not find it");
	str_done(&x.head);
}

/* ---- both ends ---- */

static char served[] = "/var/tmp/ask-XXXXXX";

static struct err *enter(void *arg, bool with_upper, bool without_mounts)
{
	return chroot(arg) < 0 || chdir("/") < 0 ? err_sys(EPERM, "chroot") : NULL;
}

static void real_guest(int fd)
{
	files_serve(&(struct files_server) { .in = fd, .out = fd, .enter = enter, .arg = served });
}

static void what_is_asked_is_answered(void **state)
{
	OWN(asked) struct asked a = { 0 };
	OWN(json) json_t *done = NULL;
	OWN(json) json_t *none = NULL;
	OWN(err) struct err *e = NULL;
	OWN(mem) char *command = NULL;

	(void)state;
	if (geteuid())
		skip();
	assert_non_null(mkdtemp(served));
	command = xasprintf("mkdir %s/etc && echo text >%s/etc/x", served, served);
	assert_int_equal(system(command), 0);
	assert_ok(ask_against("get", real_guest, (struct source) { 0 }, &a, &done));
	assert_non_null(strstr(a.stat, "\"name\":\"etc\""));
	assert_non_null(memmem(a.out.buf, a.out.len, "text\n", 5));
	free(command);
	command = xasprintf("rm -r %s", served);
	assert_int_equal(system(command), 0);
	e = ask_against("nonsense", real_guest, (struct source) { 0 }, &a, &none);
	assert_int_equal(err_kind(e), ERR_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_must_be_below_what_was_asked_for),
		cmocka_unit_test(base_names_are_gos),
		cmocka_unit_test(a_get_is_told_its_stat_and_gets_the_tree),
		cmocka_unit_test(what_goes_wrong_in_a_guest_is_an_error),
		cmocka_unit_test(a_put_that_is_refused_ends_at_once),
		cmocka_unit_test(what_is_asked_is_answered),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
