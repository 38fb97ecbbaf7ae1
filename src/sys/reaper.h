/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SYS_REAPER_H
#define SYS_REAPER_H

/*
 * The first process of a tree that was asked for with --init.
 */

/**
 * reaper_run() - run a program, hand it every signal, collect whatever loses its parent, and end as
 * it does
 * @argv: the program, searched in PATH, and its arguments; NULL-terminated
 * @who:  name for errors, which go to stderr
 * Return: exit code of the program, 128 + signal, 127 or 126 when it could not be run.
 * Context: a process of one thread, all of which it takes: signals are blocked for good.
 */
int reaper_run(char **argv, const char *who);

#endif
