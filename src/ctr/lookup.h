/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CTR_LOOKUP_H
#define CTR_LOOKUP_H

/*
 * Finding the program to execute, with the words that docker's client makes its exit
 * codes 126 and 127 of.
 */

#include "util/err.h"

/**
 * ctr_find_program() - the path to give to execve()
 * @name: args[0]; with a slash it is a path, else it is looked for in @path
 * @path: value of PATH in the new environment; NULL: Docker's default
 * @ret:  owned by the caller
 * Return: NULL; ERR_NOT_FOUND `exec: "x": executable file not found in $PATH` or `exec: "/x": stat
 *         /x: no such file or directory`; ERR_DENIED `exec: "/x": permission denied` or `exec:
 *         "/etc": is a directory`.
 * Context: with the identity, root and working directory of the new process.
 */
struct err *ctr_find_program(const char *name, const char *path, char **ret) MUST_USE;

/** ctr_exec_error() - error of a failed execve() in runc's words */
struct err *ctr_exec_error(const char *path, int errnum) MUST_USE;

#endif
