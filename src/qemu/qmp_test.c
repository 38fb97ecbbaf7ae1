/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu/qmp.h"

#include <sys/socket.h>
#include <unistd.h>

#include "sys/sock.h"
#include "util/mem.h"
#include "util/test.h"

static void lines_of_qemu_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		enum qmp_line_type type;
		const char *text;
	} cases[] = {
		{ "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22}}, \"capabilities\": []}}\r",
		  QMP_GREETING, "" },
		{ "{\"return\": {}}\r", QMP_RETURN, "" },
		{ "{\"return\": {\"status\": \"paused\", \"singlestep\": false, \"running\": "
		  "false}}",
		  QMP_RETURN, "paused" },
		{ "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The \\\"x\\\" is "
		  "unknown\"}}",
		  QMP_ERROR, "The \"x\" is unknown" },
		{ "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"SHUTDOWN\", "
		  "\"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}",
		  QMP_EVENT, "SHUTDOWN" },
		{ "", QMP_OTHER, "" },
		{ "garbage", QMP_OTHER, "" },
		{ "{\"timestamp\": {\"event\": \"", QMP_EVENT, "" },
		{ "{\"error\": {\"desc\": \"ends in \\", QMP_ERROR, "ends in \\" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct qmp_line l = qmp_parse(cases[i].line);

		assert_int_equal(l.type, cases[i].type);
		assert_string_equal(l.text, cases[i].text);
	}
}

struct seen {
	int n_ready, n_errors, n_done;
	char event[32];
};

static void on_ready(void *arg)
{
	((struct seen *)arg)->n_ready++;
}

static void on_event(void *arg, const char *name)
{
	snprintf(((struct seen *)arg)->event, 32, "%s", name);
}

static void on_done(void *arg, struct err *e, const char *text)
{
	struct seen *s = arg;

	s->n_done++;
	s->n_errors += e != NULL;
	err_free(e);
}

static void say(struct poller *p, int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
	for (int i = 0; i < 5; i++)
		poller_step(p, 0);
}

static void answers_come_back_in_the_order_of_the_commands(void **state)
{
	static const struct qmp_ops ops = { .ready = on_ready, .event = on_event };
	struct poller *p = poller_new();
	struct seen seen = { 0 };
	struct qmp *q;
	char buf[256];
	int pair[2];

	assert_ok(sock_pair(SOCK_STREAM, pair));
	q = qmp_new(p, pair[0], &ops, &seen);
	say(p, pair[1], "{\"QMP\": {}}\r\n");
	assert_int_equal(seen.n_ready, 0);
	say(p, pair[1], "{\"retu");
	say(p, pair[1], "rn\": {}}\r\n");
	assert_int_equal(seen.n_ready, 1);
	qmp_command(q, "stop", on_done, &seen);
	qmp_command(q, "nonsense", on_done, &seen);
	say(p, pair[1],
	    "{\"timestamp\": {}, \"event\": \"STOP\"}\r\n{\"return\": {}}\r\n"
	    "{\"error\": {\"desc\": \"no\"}}\r\n{\"return\": {}}\r\n");
	assert_string_equal(seen.event, "STOP");
	assert_int_equal(seen.n_done, 2);
	assert_int_equal(seen.n_errors, 1);
	buf[read(pair[1], buf, sizeof(buf) - 1)] = '\0';
	assert_non_null(
	    strstr(buf, "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"stop\"}\n"));
	qmp_free(q);
	poller_free(p);
	close(pair[1]);
}

static void a_failed_query_says_why_and_a_greeting_which_version(void **state)
{
	struct qmp_line l = qmp_parse(
	    "{\"return\": {\"status\": \"failed\", \"error-desc\": \"no \\\"room\\\"\"}}");

	assert_int_equal(l.type, QMP_RETURN);
	assert_string_equal(l.text, "failed: no \"room\"");
	l = qmp_parse("{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, "
		      "\"major\": 7}}}}");
	assert_int_equal(l.type, QMP_GREETING);
	assert_int_equal(l.version, 7002);
}

static void a_descriptor_goes_with_its_command(void **state)
{
	static const struct qmp_ops ops = { .ready = on_ready, .event = on_event };
	struct poller *p = poller_new();
	struct seen seen = { 0 };
	int pair[2], fds[SOCK_MSG_FDS_MAX];
	struct qmp *q;
	char buf[256];
	size_t n;

	assert_ok(sock_pair(SOCK_STREAM, pair));
	q = qmp_new(p, pair[0], &ops, &seen);
	assert_ok(qmp_pass_fd(q, "state", pair[1], on_done, &seen));
	qmp_execute(q, "migrate", "{\"uri\":\"fd:state\"}", on_done, &seen);
	assert_ok(sock_recv_msg(pair[1], buf, sizeof(buf), 0, &n, fds));
	assert_true(fds[0] >= 0);
	close(fds[0]);
	buf[n] = '\0';
	assert_string_equal(buf, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"state\"}}\n");
	buf[read(pair[1], buf, sizeof(buf) - 1)] = '\0';
	assert_string_equal(buf,
			    "{\"execute\":\"migrate\",\"arguments\":{\"uri\":\"fd:state\"}}\n");
	say(p, pair[1], "{\"return\": {}}\n{\"error\": {\"desc\": \"no\"}}\n");
	assert_int_equal(seen.n_done, 2);
	assert_int_equal(seen.n_errors, 1);
	qmp_free(q);
	poller_free(p);
	close(pair[1]);
}

static void a_line_without_end_is_dropped(void **state)
{
	static const struct qmp_ops ops = { .ready = on_ready, .event = on_event };
	struct poller *p = poller_new();
	struct seen seen = { 0 };
	struct qmp *q;
	char *big = xcalloc(1, 8193);
	int pair[2];

	memset(big, 'x', 8192);
	assert_ok(sock_pair(SOCK_STREAM, pair));
	q = qmp_new(p, pair[0], &ops, &seen);
	for (int i = 0; i < 8; i++) {
		say(p, pair[1], big);
		for (int k = 0; k < 10; k++)
			poller_step(p, 0);
	}
	say(p, pair[1], "\n{\"timestamp\": {}, \"event\": \"RESUME\"}\r\n");
	assert_string_equal(seen.event, "RESUME");
	free(big);
	qmp_free(q);
	poller_free(p);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_qemu_are_told_apart),
		cmocka_unit_test(answers_come_back_in_the_order_of_the_commands),
		cmocka_unit_test(a_failed_query_says_why_and_a_greeting_which_version),
		cmocka_unit_test(a_descriptor_goes_with_its_command),
		cmocka_unit_test(a_line_without_end_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
