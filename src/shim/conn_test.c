/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/conn.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shim/msg.h"
#include "sys/sock.h"
#include "util/mem.h"
#include "util/str.h"
#include "util/test.h"

/* The far end is played by the test itself. */
struct fixture {
	char dir[64];
	struct loop *loop;
	struct shim_conn *conn;
	int listener, shim;
	struct str seen; /* a word per callback */
	bool close_in_callback;
};

static void on_hello(void *arg, const struct shim_hello *h)
{
	str_addf(&((struct fixture *)arg)->seen, "hello:%u:%d ", h->phase, h->payload_pid);
}

static void on_started(void *arg, const struct shim_started *s)
{
	str_addf(&((struct fixture *)arg)->seen, "started:%d ", s->pid);
}

static void on_failed(void *arg, enum err_kind kind, const char *text)
{
	str_addf(&((struct fixture *)arg)->seen, "failed:%u:%s ", kind, text);
}

static void on_exited(void *arg, const struct shim_exited *x, const char *note)
{
	struct fixture *f = arg;

	str_addf(&f->seen, "exited:%d:%s ", x->code, note);
	if (f->close_in_callback) {
		shim_conn_close(f->conn);
		f->conn = NULL;
	}
}

static void on_oom(void *arg)
{
	str_adds(&((struct fixture *)arg)->seen, "oom ");
}

static void on_exec(void *arg, enum shim_msg_type type, const struct shim_exec_event *ev,
		    const char *text)
{
	str_addf(&((struct fixture *)arg)->seen, "exec:%d:%s:%d:%s ", type - SHIM_EXEC_STARTED,
		 ev->exec_id, ev->code, text);
}

static void on_client(void *arg, enum shim_msg_type type, const char *exec_id, uint32_t seq)
{
	str_addf(&((struct fixture *)arg)->seen, "client:%d:%s:%u ", type - SHIM_DETACHED, exec_id,
		 seq);
}

static void on_lost(void *arg)
{
	str_adds(&((struct fixture *)arg)->seen, "lost ");
}

static const struct shim_events events = { on_hello, on_started, on_failed, on_exited,
					   on_oom,   on_exec,    on_client, on_lost };

static void on_done(void *arg, struct err *e, const char *text)
{
	str_addf(&((struct fixture *)arg)->seen, "done:%s:%s ", e ? err_text(e) : "", text);
	err_free(e);
}

static int setup(void **state)
{
	struct fixture *f = xnew(struct fixture);
	OWN(mem) char *path = NULL;

	snprintf(f->dir, sizeof(f->dir), "/tmp/hostel-conn-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	path = xasprintf("%s/shim.sock", f->dir);
	assert_ok(sock_listen_unix(path, SOCK_SEQPACKET, 0600, &f->listener));
	assert_ok(loop_new(&f->loop));
	assert_ok(shim_conn_open(f->loop, f->dir, &events, f, &f->conn));
	f->shim = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	*state = f;
	return f->shim < 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	OWN(mem) char *path = xasprintf("%s/shim.sock", f->dir);

	shim_conn_close(f->conn);
	loop_free(f->loop);
	own_fd_release(&f->shim);
	close(f->listener);
	unlink(path);
	rmdir(f->dir);
	str_done(&f->seen);
	free(f);
	return 0;
}

static void say(struct fixture *f, struct shim_msg m, const char *tail)
{
	char buf[SHIM_MSG_MAX];

	m.tail = tail;
	m.tail_len = strlen(tail);
	assert_ok(sock_send_msg(f->shim, buf, shim_msg_build(&m, buf), NULL, 0));
}

static struct shim_msg hear(struct fixture *f, char *buf, int *fds)
{
	struct shim_msg m = { 0 };
	size_t len = 0;

	assert_ok(sock_recv_msg(f->shim, buf, SHIM_MSG_MAX, 0, &len, fds));
	assert_int_equal(shim_msg_parse(buf, len, &m), SHIM_PARSE_OK);
	return m;
}

static void turn(struct fixture *f)
{
	for (int i = 0; i < 5; i++)
		loop_step(f->loop, 0);
}

static void assert_seen(struct fixture *f, const char *want)
{
	turn(f);
	assert_string_equal(f->seen.buf ? f->seen.buf : "", want);
	str_done(&f->seen);
}

static void events_come_decoded(void **state)
{
	struct fixture *f = *state;

	say(f,
	    (struct shim_msg) { .type = SHIM_HELLO,
				.body.hello = { .phase = 2, .payload_pid = 9 } },
	    "");
	say(f, (struct shim_msg) { .type = SHIM_STARTED, .body.started.pid = 12 }, "");
	say(f, (struct shim_msg) { .type = SHIM_FAILED, .body.reply.kind = ERR_LIMIT }, "too big");
	say(f, (struct shim_msg) { .type = SHIM_OOM }, "");
	say(f, (struct shim_msg) { .type = SHIM_EXITED, .body.exited.code = 137 }, "note");
	assert_seen(f, "hello:2:9 started:12 failed:5:too big oom exited:137:note ");
	say(f,
	    (struct shim_msg) { .type = SHIM_EXEC_FAILED,
				.body.exec_event = { .exec_id = "x1", .code = ERR_NOT_FOUND } },
	    "no such file");
	say(f, (struct shim_msg) { .type = SHIM_ATTACH_ENDED, .body.exec_event.code = 3 }, "");
	assert_seen(f, "exec:1:x1:1:no such file client:1::3 ");
}

static void requests_are_sent_with_their_descriptors_and_answered(void **state)
{
	struct fixture *f = *state;
	char buf[SHIM_MSG_MAX];
	int fds[SOCK_MSG_FDS_MAX], p[2];
	struct shim_msg m;
	uint32_t seq;

	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	seq = shim_conn_attach(f->conn, &(struct shim_attach) { .streams = SHIM_STDOUT },
			       &(struct shim_client) { p[1], "early", 5 },
			       (struct shim_done) { on_done, f });
	m = hear(f, buf, fds);
	assert_int_equal(m.type, SHIM_ATTACH);
	assert_int_equal(m.seq, seq);
	assert_memory_equal(m.tail, "early", 5);
	assert_int_equal(write(fds[0], "x", 1), 1);
	assert_int_equal(read(p[0], buf, 1), 1);
	close(fds[0]);
	assert_int_equal(read(p[0], buf, 1), 0); /* our copy was closed */
	close(p[0]);
	assert_seen(f, "");
	say(f, (struct shim_msg) { .type = SHIM_REPLY, .seq = seq, .body.reply.kind = -1 }, "");
	assert_seen(f, "done:: ");
	say(f, (struct shim_msg) { .type = SHIM_REPLY, .seq = seq, .body.reply.kind = -1 }, "");
	assert_seen(f, ""); /* a second answer is nobody's */
}

static void answers_may_come_in_any_order_and_may_be_errors(void **state)
{
	struct fixture *f = *state;

	shim_conn_query(f->conn, "stats", (struct shim_done) { on_done, f });
	shim_conn_signal(f->conn, NULL, 9, (struct shim_done) { on_done, f });
	say(f, (struct shim_msg) { .type = SHIM_REPLY, .seq = 2, .body.reply.kind = ERR_STATE },
	    "not running");
	say(f, (struct shim_msg) { .type = SHIM_REPLY, .seq = 1, .body.reply.kind = -1 }, "cpu 1");
	assert_seen(f, "done:not running:not running done::cpu 1 ");
}

static void a_checkpoint_passes_its_folder_and_says_what_the_backend_says(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	shim_conn_checkpoint(f->conn, fds[1], (struct shim_done) { on_done, f });
	say(f, (struct shim_msg) { .type = SHIM_REPLY, .seq = 1, .body.reply.kind = -1 },
	    "{\"bytes\":5}");
	assert_seen(f, "done::{\"bytes\":5} ");
	assert_int_equal(fcntl(fds[1], F_GETFD), -1); /* consumed */
	close(fds[0]);
	shim_conn_resume(f->conn, (struct shim_done) { on_done, f });
	say(f, (struct shim_msg) { .type = SHIM_REPLY, .seq = 2, .body.reply.kind = ERR_STATE },
	    "no");
	assert_seen(f, "done:no:no ");
}

static void a_lost_connection_fails_what_waits(void **state)
{
	struct fixture *f = *state;

	shim_conn_freeze(f->conn, true, (struct shim_done) { on_done, f });
	close(f->shim);
	f->shim = -1;
	assert_seen(f, "done:the supervisor has gone: lost ");
	shim_conn_start(f->conn, (struct shim_done) { on_done, f });
	assert_int_equal(f->seen.len, 0); /* never from inside the call */
	assert_seen(f, "done:the supervisor has gone: ");
}

static void bytes_that_make_no_sense_lose_the_connection(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(write(f->shim, "nonsense", 8), 8);
	assert_seen(f, "lost ");
}

static void a_callback_may_close(void **state)
{
	struct fixture *f = *state;

	f->close_in_callback = true;
	shim_conn_start(f->conn, (struct shim_done) { on_done, f });
	say(f, (struct shim_msg) { .type = SHIM_EXITED }, "");
	say(f, (struct shim_msg) { .type = SHIM_OOM }, "");
	assert_seen(f, "exited:0: "); /* and nothing after it */
}

static void more_than_one_message_holds_is_refused(void **state)
{
	struct fixture *f = *state;
	OWN(mem) char *big = xcalloc(1, SHIM_MSG_MAX);
	struct shim_attach a = { 0 };

	shim_conn_attach(f->conn, &a, &(struct shim_client) { dup(0), big, SHIM_MSG_MAX },
			 (struct shim_done) { on_done, f });
	assert_seen(f, "done:65536 bytes are too many for one message: ");
}

static void a_shim_that_does_not_read_blocks_nobody(void **state)
{
	struct fixture *f = *state;
	char buf[SHIM_MSG_MAX];
	int fds[SOCK_MSG_FDS_MAX];

	for (int i = 0; i < 2000; i++)
		shim_conn_resize(f->conn, NULL, 1, 2, (struct shim_done) { NULL, NULL });
	for (uint32_t i = 1; i <= 2000; i++) {
		assert_int_equal(hear(f, buf, fds).seq, i);
		loop_step(f->loop, 0);
	}
}

static void without_a_shim_there_is_no_connection(void **state)
{
	struct fixture *f = *state;
	struct shim_conn *c = NULL;

	assert_err(shim_conn_open(f->loop, "/nonexistent", &events, f, &c), ERR_NOT_FOUND);
	assert_null(c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(events_come_decoded),
		T(requests_are_sent_with_their_descriptors_and_answered),
		T(answers_may_come_in_any_order_and_may_be_errors),
		T(a_checkpoint_passes_its_folder_and_says_what_the_backend_says),
		T(a_lost_connection_fails_what_waits),
		T(bytes_that_make_no_sense_lose_the_connection),
		T(a_callback_may_close),
		T(more_than_one_message_holds_is_refused),
		T(a_shim_that_does_not_read_blocks_nobody),
		T(without_a_shim_there_is_no_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
