/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SECCOMP_PROFILE_H
#define SECCOMP_PROFILE_H

extern const char default_profile[]; /* text of data/seccomp.json */

#endif
