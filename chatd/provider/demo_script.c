/*
 * demo_script.c - what the demo provider says to a question. See demo_script.h and demo.h.
 *
 *	"demo: chunks=…", "demo: error" ──> a command: exactly that
 *	"demo: …", or no tools offered  ──> the tour: text, as it always was
 *	first message, or one that      ──> the show, one step an answer:
 *	names dice, tools, questions           greeting, a call of roll_dice   (no result yet)
 *	                                       what it gave, a call of ask_user (dice rolled)
 *	                                       what was answered, the end       (question answered)
 *	anything else                   ──> the tour
 *
 * A turn's answer is one text, whatever tools stand between its parts: so each part of the show but
 * the first begins with a blank line.
 */
#include "chatd/provider/demo_script.h"

#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/require.h"

#define MAX_CHUNKS 1000000 /* demo.h documents both */
#define MAX_SIZE   16384
#define QUOTED	   600 /* bytes of a message or answer that are quoted */

static const char dice[] = "demo__roll_dice";
static const char ask[] = "ask_user";

/* The options of the question; the last part of the show knows them again. */
#define HOW	"How it works"
#define MODEL	"How to use a real model"
#define GOODBYE "That was enough"

static struct buf *add_step(struct demo_script *s, enum demo_step_kind kind)
{
	struct demo_step *step = &s->steps[s->n++];

	REQUIRE(s->n <= DEMO_MAX_STEPS);
	step->kind = kind;
	return &step->text;
}

static void add_call(struct demo_script *s, const char *tool, const char *arguments)
{
	buf_adds(add_step(s, DEMO_CALL), arguments);
	s->steps[s->n - 1].tool = tool;
}

/* --- reading the question --- */

static size_t last_user_message(const json_t *messages)
{
	for (size_t i = json_array_size(messages); i > 0; i--) {
		const char *role = json_get_str(json_array_get(messages, i - 1), "role");

		if (role && strcmp(role, "user") == 0)
			return i - 1;
	}
	return 0;
}

static void add_content(struct buf *out, const json_t *content)
{
	const json_t *part;
	size_t i;

	if (json_is_string(content))
		buf_add(out, json_string_value(content), json_string_length(content));
	json_array_foreach (content, i, part) {
		const json_t *text = json_get(part, "text");

		if (json_is_string(text))
			buf_add(out, json_string_value(text), json_string_length(text));
	}
}

static bool is_offered(const json_t *tools, const char *name)
{
	const json_t *tool;
	size_t i;

	json_array_foreach (tools, i, tool) {
		const char *have = json_get_str(tool, "name");

		if (have && strcmp(have, name) == 0)
			return true;
	}
	return false;
}

static bool has_call(const json_t *message, const char *name, const char *id)
{
	const json_t *call;
	size_t i;

	json_array_foreach (json_get(message, "tool_calls"), i, call) {
		const char *have = json_get_str(call, "name");
		const char *have_id = json_get_str(call, "id");

		if (have && have_id && strcmp(have, name) == 0 && strcmp(have_id, id) == 0)
			return true;
	}
	return false;
}

/* The tool message behind the user's message that answers a call of this tool, or NULL. */
static const json_t *result_of(const json_t *messages, size_t user, const char *name)
{
	for (size_t i = user + 1; i < json_array_size(messages); i++) {
		const json_t *result = json_array_get(messages, i);
		const char *id = json_get_str(result, "tool_call_id");

		for (size_t k = user + 1; id && k < i; k++) {
			if (has_call(json_array_get(messages, k), name, id))
				return result;
		}
	}
	return NULL;
}

static bool mentions(const char *message, const char *const *words)
{
	for (; *words; words++) {
		if (strcasestr(message, *words))
			return true;
	}
	return false;
}

/* --- the parts --- */

/* A text as a Markdown quotation, cut to a bearable length. */
static void quote(struct buf *b, const char *p, size_t length)
{
	size_t n = length > QUOTED ? json_utf8_prefix(p, QUOTED) : length;

	buf_adds(b, "> ");
	for (size_t i = 0; i < n; i++) {
		buf_addc(b, p[i]);
		if (p[i] == '\n')
			buf_adds(b, "> ");
	}
	buf_adds(b, n < length ? " …\n\n" : "\n\n");
}

static void add_how_it_works(struct buf *b)
{
	buf_adds(b,
		 "### What you are looking at\n\n"
		 "- **The turn runs in a server process.** A `chatd` worker took your message, "
		 "stored it, and only then answered *accepted*.\n"
		 "- **Each piece is on disk before you see it.** What is on your screen can't get "
		 "lost.\n"
		 "- **This page is only a window.** `streamerd` shows you what is stored, and goes "
		 "on from there as it grows.\n\n"
		 "### Things to try while I am talking\n\n"
		 "1. **Reload the page.** You will be back at this very word.\n"
		 "2. **Open it in a second window.** Both show the same.\n"
		 "3. **Pull the plug.** Close the window, wait, come back: I will have gone on "
		 "without you.\n"
		 "4. **Kill a worker** if you dare. It comes back and says what became of the "
		 "turn.\n"
		 "5. **Press stop.** That, and nothing else, ends a turn.\n\n");
}

static void add_real_model(struct buf *b)
{
	buf_adds(b, "### Now a real model\n\nAdd a section like this to `chatd.conf`:\n\n"
		    "```ini\n"
		    "[provider local]\n"
		    "type = openai\n"
		    "base_url = http://127.0.0.1:8081/v1\n"
		    "model = qwen3\n"
		    "```\n\n"
		    "and name it in `[defaults]`. Any server that speaks OpenAI's chat completions "
		    "will do. Have fun!\n");
}

static void write_tour(struct demo_script *s)
{
	struct buf *b = add_step(s, DEMO_REASONING);

	buf_adds(b, "Somebody is trying this out. "
		    "There is no model behind me, so I will not pretend to be clever. "
		    "I will say what is going on here, and what is worth trying.");
	b = add_step(s, DEMO_TEXT);
	buf_adds(b, "## Hello! This is the demo provider\n\nYou wrote:\n\n");
	quote(b, s->message.data, s->message.len);
	buf_adds(b, "No model reads it: this text is a script that is played word by word. "
		    "Everything around it is real, though.\n\n");
	add_how_it_works(b);
	add_real_model(b);
}

static void write_dice_call(struct demo_script *s)
{
	struct buf *b = add_step(s, DEMO_REASONING);

	buf_adds(b, "No model is behind me, so I can't be clever. But I can act: "
		    "I will roll two dice. That is not mine to decide, so I have to ask.");
	b = add_step(s, DEMO_TEXT);
	buf_adds(b, "## Hello! This is the demo provider\n\nYou wrote:\n\n");
	quote(b, s->message.data, s->message.len);
	buf_adds(b, "I am a script, but I have a tool: I can roll dice. I may only do it if "
		    "**you allow it**. Take your time: close this page if you like, my question "
		    "will still be here.");
	add_call(s, dice, "{\"sides\":6,\"count\":2}");
}

static void add_result(struct buf *b, const json_t *result)
{
	buf_adds(b, json_is_true(json_get(result, "is_error"))
			    ? "No dice, then. What I was told:\n\n"
			    : "The dice show:\n\n");
	quote(b, json_string_value(json_get(result, "content")),
	      json_string_length(json_get(result, "content")));
}

static void write_question_call(struct demo_script *s, const json_t *rolled)
{
	struct buf *b = add_step(s, DEMO_TEXT);

	if (rolled) {
		buf_adds(b, "\n\n");
		add_result(b, rolled);
	}
	buf_adds(b, "What comes next is for you to say.");
	add_call(s, ask,
		 "{\"questions\":[{\"id\":\"next\",\"question\":\"What would you like to hear?\","
		 "\"options\":[{\"label\":\"" HOW "\",\"description\":"
		 "\"What runs where, and what to try\"},"
		 "{\"label\":\"" MODEL "\",\"description\":"
		 "\"The lines for the config file\"},"
		 "{\"label\":\"" GOODBYE "\",\"description\":\"No more text\"}],"
		 "\"free_text\":true}]}");
}

/* What stands behind the first "Answer: " of the text that ask_user gives to models. */
static void add_answer(struct buf *b, const json_t *answered)
{
	const char *text = json_string_value(json_get(answered, "content"));
	const char *answer = text ? strstr(text, "\nAnswer: ") : NULL;

	answer = answer ? answer + strlen("\nAnswer: ") : "";
	if (strcmp(answer, HOW) == 0) {
		add_how_it_works(b);
	} else if (strcmp(answer, MODEL) == 0) {
		add_real_model(b);
		return;
	} else if (strcmp(answer, GOODBYE) != 0) {
		buf_adds(b, "In your own words, then:\n\n");
		quote(b, answer, strlen(answer));
	}
	buf_adds(b, "That was the show. Write again and I will tell more; name *dice* or a "
		    "*question* and I will do that once more.\n");
}

static void write_end(struct demo_script *s, const json_t *rolled, const json_t *answered)
{
	struct buf *b = add_step(s, DEMO_TEXT);

	buf_adds(b, "\n\n");
	if (answered) {
		add_answer(b, answered);
		return;
	}
	add_result(b, rolled);
	buf_adds(b, "Name *dice* and I will roll them again.\n");
}

/* The next part of the show; false if there is none for this message. */
static bool write_show(struct demo_script *s, const struct question *q, size_t user)
{
	static const char *const dice_words[] = {"dice", "tool", NULL};
	static const char *const ask_words[] = {"question", "ask me", NULL};
	const char *message = buf_str(&s->message);
	const json_t *rolled = result_of(q->messages, user, dice);
	const json_t *answered = result_of(q->messages, user, ask);
	bool first = user == 0;
	bool may_roll = is_offered(q->tools, dice) && (first || mentions(message, dice_words));
	bool may_ask = is_offered(q->tools, ask) && (first || mentions(message, ask_words));

	if (strncmp(message, "demo:", 5) == 0)
		return false;
	if (may_roll && !rolled && !answered)
		write_dice_call(s);
	else if (may_ask && !answered)
		write_question_call(s, rolled);
	else if (rolled || answered)
		write_end(s, rolled, answered);
	else
		return false;
	return true;
}

/* "demo: chunks=N size=M" or "demo: error". False: it is an ordinary message. */
static bool write_command(struct demo_script *s)
{
	const char *message = buf_str(&s->message);
	unsigned long chunks, size;
	struct buf *b;
	char *end;

	if (strcmp(message, "demo: error") == 0) {
		buf_adds(add_step(s, DEMO_TEXT),
			 "This answer will not end well, because you asked for that. ");
		(void)add_step(s, DEMO_FAIL);
		return true;
	}
	if (strncmp(message, "demo: chunks=", 13) != 0)
		return false;
	chunks = strtoul(message + 13, &end, 10);
	if (strncmp(end, " size=", 6) != 0)
		return false;
	size = strtoul(end + 6, &end, 10);
	if (*end || chunks == 0 || size == 0 || chunks > MAX_CHUNKS || size > MAX_SIZE)
		return false;
	b = add_step(s, DEMO_FILL);
	for (unsigned long i = 1; i < size; i++)
		buf_addc(b, i % 8 == 0 ? ' ' : (char)('a' + i % 26));
	buf_addc(b, size % 80 == 79 ? '\n' : ' ');
	s->steps[s->n - 1].chunks = chunks;
	return true;
}

void demo_script_write(struct demo_script *s, const struct question *q)
{
	size_t user = last_user_message(q->messages);

	add_content(&s->message, json_get(json_array_get(q->messages, user), "content"));
	if (!write_command(s) && !write_show(s, q, user))
		write_tour(s);
}

void demo_script_fini(struct demo_script *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_fini(&s->steps[i].text);
	buf_fini(&s->message);
}
