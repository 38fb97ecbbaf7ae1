/* SPDX-License-Identifier: Apache-2.0 */
#include "loop/loop.h"

#include <fcntl.h>
#include <unistd.h>

#include "sys/spawn.h"
#include "util/clock.h"
#include "util/test.h"

struct seen {
	struct loop *l;
	struct loop_watch *w;
	int reads, timers, turns, code;
	int fd;
};

static void on_read(void *arg, int events)
{
	struct seen *s = arg;
	char c;

	assert_true(events & LOOP_READ);
	assert_int_equal(read(s->fd, &c, 1), 1);
	s->reads++;
	loop_watch_free(TAKE(s->w)); /* from its own callback */
}

static void on_turn(void *arg)
{
	((struct seen *)arg)->turns++;
}

static void on_timer(void *arg)
{
	((struct seen *)arg)->timers++;
}

static void on_exit_code(void *arg, int code)
{
	((struct seen *)arg)->code = code;
}

static void a_watch_may_free_itself_and_the_turn_comes_after_it(void **state)
{
	struct seen s = { 0 };
	int p[2];

	(void)state;
	assert_ok(loop_new(&s.l));
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	s.fd = p[0];
	loop_on_turn(s.l, on_turn, &s);
	assert_ok(loop_watch_new(s.l, p[0], LOOP_READ, on_read, &s, &s.w));
	assert_int_equal(write(p[1], "x", 1), 1);
	loop_run(s.l); /* ends: nothing is left to wait for */
	assert_int_equal(s.reads, 1);
	assert_true(s.turns >= 1);
	loop_free(s.l);
	close(p[0]);
	close(p[1]);
}

static void a_timer_fires_once_and_not_early(void **state)
{
	struct seen s = { 0 };
	struct loop_timer *t;
	int64_t begin;

	(void)state;
	assert_ok(loop_new(&s.l));
	t = loop_timer_new(s.l, on_timer, &s);
	begin = clock_boot_ns();
	loop_timer_start(t, 5000000);
	loop_run(s.l);
	assert_int_equal(s.timers, 1);
	assert_true(clock_boot_ns() - begin >= 4000000);
	loop_timer_free(t);
	loop_free(s.l);
}

struct alarmed {
	struct loop *l;
	int n;
};

static void on_alarm(void *arg)
{
	struct alarmed *a = arg;

	a->n++;
	loop_stop(a->l);
}

static void an_alarm_can_be_moved_and_fires_once_not_early(void **state)
{
	struct alarmed seen = { 0 };
	struct loop_alarm *a = NULL;
	int64_t at = clock_boot_ns() + 3000000;

	(void)state;
	assert_ok(loop_new(&seen.l));
	assert_ok(loop_alarm_new(seen.l, on_alarm, &seen, &a));
	loop_alarm_at(a, at + INT64_C(3600000000000));
	loop_alarm_at(a, at);
	loop_run(seen.l);
	assert_int_equal(seen.n, 1);
	assert_true(clock_boot_ns() >= at);
	loop_alarm_at(a, 1); /* long past: at once */
	loop_run(seen.l);
	assert_int_equal(seen.n, 2);
	loop_alarm_at(a, clock_boot_ns() + 1);
	loop_alarm_at(a, 0);
	loop_step(seen.l, 0);
	assert_int_equal(seen.n, 2);
	loop_alarm_free(a);
	loop_free(seen.l);
}

static void an_ended_child_is_reaped_with_its_code(void **state)
{
	static const int nothing[] = { -1, -1, -1 };
	char *argv[] = { (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
			 (char *)(uintptr_t) "kill -9 $$", NULL };
	struct loop_child *c = NULL;
	struct seen s = { 0 };
	int pidfd = -1;
	pid_t pid;

	(void)state;
	assert_ok(loop_new(&s.l));
	assert_ok(spawn_program(
	    &(struct spawn) { .path = "/bin/sh", .argv = argv, .fds = nothing, .n_fds = 3 }, &pid,
	    &pidfd));
	assert_ok(loop_child_new(s.l, pidfd, on_exit_code, &s, &c));
	loop_run(s.l);
	assert_int_equal(s.code, 137);
	loop_child_free(c);
	loop_free(s.l);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_watch_may_free_itself_and_the_turn_comes_after_it),
		cmocka_unit_test(a_timer_fires_once_and_not_early),
		cmocka_unit_test(an_alarm_can_be_moved_and_fires_once_not_early),
		cmocka_unit_test(an_ended_child_is_reaped_with_its_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
