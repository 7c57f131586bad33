/*
 * files: how many files the process may have open (RLIMIT_NOFILE). Any thread.
 */
#ifndef LEAT_BASE_FILES_H
#define LEAT_BASE_FILES_H

#include <stdint.h>

/* What holds now; INT32_MAX if there is no limit or it is not known. */
int32_t files_limit(void);
/* Raises it as far as the process may, which needs no privilege. What cannot be raised stays. */
void files_raise_limit(void);

#endif
