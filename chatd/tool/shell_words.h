/*
 * shell_words.h - splits a line into words as a shell would, without being one. Pure.
 */
#pragma once

/*
 * Words are separated by blanks. '...' keeps everything, "..." keeps everything but \" and \\,
 * and \x outside of quotes is x. Nothing is expanded: $HOME, * and ~ stay what they are.
 * NULL if fine, with *ret_words malloc'ed (shell_words_free()) and NULL-terminated, else why not
 * (static text).
 */
const char *shell_words_split(const char *line, char ***ret_words);
void shell_words_free(char **words); /* NULL is fine */
