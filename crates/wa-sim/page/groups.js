// @ts-check
/** The dialogs for groups: members, and changes of a group. */

import { api } from "./api.js";
import { attempt, confirmFirst, field, openDialog } from "./dialogs.js";
import { avatar, el } from "./dom.js";
import { say } from "./say.js";
import { groupOf, inHand, nameOf, openChat, refreshGroups, state } from "./state.js";

/**
 * Returns a list of phones to choose from, and a field for numbers without a phone.
 * @param {string[]} without
 */
export function openCard(without) {
  const others = state.phones.filter((phone) => !without.includes(phone.number));
  const boxes = others.map((phone) => el("input", { type: "checkbox", value: phone.number }));
  const rest = field(say("more_numbers"), { inputmode: "tel", placeholder: "6281…, 6282…" }, say("more_numbers_hint"));
  const node = el("fieldset", { class: "members" }, el("legend", { text: say("members") }),
    ...others.map((phone, index) => el("label", { class: "check" }, boxes[index], el("span", { text: phone.name, dir: "auto" }), el("small", { text: `+${phone.number}` }))),
    rest.node);
  const chosen = () => {
    const typed = rest.input.value.split(/[,;\n]/u).map((/** @type {string} */ number) => number.replace(/\D/gu, ""));
    return [...boxes.filter((box) => box.checked).map((box) => box.value), ...typed.filter(Boolean)];
  };
  return { node, chosen };
}

/**
 * Opens the dialog that shows and changes a group.
 * @param {string} id
 */
export function openGroup(id) {
  const group = groupOf(id);
  const own = inHand()?.number;
  if (!group || !own) return;
  const isMember = group.members.includes(own);
  const change = async (/** @type {Record<string, string[]>} */ what) => {
    await api.changeMembers(id, what);
    await refreshGroups();
  };
  const name = field(say("group_name"), { value: group.name, required: true, maxlength: 100 });
  const text = field(say("description"), { value: group.description, rows: 2 });
  const card = openCard(group.members);
  const dialog = openDialog({
    title: group.name, action: say("save"),
    body: [name.node, text.node, el("h3", { text: say("members_n", { n: group.members.length }) }),
      el("ul", { class: "picks" }, ...group.members.map(member)), card.node,
      isMember && el("button", { type: "button", class: "plain bad", text: say("leave_group"), on: { click: leave } })].filter(Boolean),
    submit: async () => {
      const changes = {
        ...(name.input.value.trim() !== group.name && { name: name.input.value.trim() }),
        ...(text.input.value !== group.description && { description: text.input.value }),
      };
      if (Object.keys(changes).length > 0) await api.changeGroup(id, changes);
      await change({ add: card.chosen() });
    },
  });

  /** @param {string} number */
  function member(number) {
    const isOwner = number === group?.owner;
    const remove = () => {
      dialog.close();
      void attempt(() => change({ remove: [number] }), say("removed", { name: nameOf(number) }));
    };
    return el("li", { class: "member" }, avatar(nameOf(number), number),
      el("span", { class: "row-main" }, el("span", { class: "row-title", text: nameOf(number), dir: "auto" }),
        el("span", { class: "row-last", text: isOwner ? `+${number} · ${say("owner")}` : `+${number}` })),
      !isOwner && number !== own && el("button", { type: "button", class: "plain", text: say("remove"), "aria-label": say("remove_name", { name: nameOf(number) }), on: { click: remove } }));
  }

  function leave() {
    dialog.close();
    confirmFirst(say("leave_group"), say("leave_group_sure"), say("leave_group"), async () => {
      await change({ leave: [/** @type {string} */ (own)] });
      await openChat(id);
    });
  }
}
