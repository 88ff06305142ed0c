/*
 * list.h - the lists of sys/queue.h: LIST_*, TAILQ_*.
 */
#pragma once

#include <sys/queue.h>

/*
 * To static analysis the head of a list is whatever it is each time that one asks. It can't see
 * that LIST_REMOVE and TAILQ_REMOVE write to it by way of the element, and believes that `while ((x
 * = LIST_FIRST(&xs))) x_free(x);` frees the same element again and again.
 */
#ifdef __clang_analyzer__
void *list_first(void *head);

#undef LIST_FIRST
#undef TAILQ_FIRST
#define LIST_FIRST(head)  ((__typeof__((head)->lh_first))list_first(head))
#define TAILQ_FIRST(head) ((__typeof__((head)->tqh_first))list_first(head))
#endif
