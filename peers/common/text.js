// Text as the contract reads it. White space and control characters are Unicode's, which differ from JavaScript's.

const WHITE_SPACE = /\p{White_Space}/u;
const ANY_CONTROL = /\p{Cc}/u;
const CONTROL_BUT_LINE_BREAKS = /(?![\r\n])\p{Cc}/u;

/** `String.trim` keeps U+0085 and removes U+FEFF. @param {string} text */
export function trim(text) {
  let start = 0;
  let end = text.length;
  while (start < end && WHITE_SPACE.test(text[start])) start += 1;
  while (end > start && WHITE_SPACE.test(text[end - 1])) end -= 1;
  return text.slice(start, end);
}

/** Whether the text has more code points. @param {string} text @param {number} longest */
export function isLongerThan(text, longest) {
  if (text.length <= longest) return false;
  // Each code point takes one or two units, so very long text is not counted.
  return text.length > 2 * longest || [...text].length > longest;
}

/** @param {string} text @param {boolean} allowsLineBreaks */
export function hasControlCharacters(text, allowsLineBreaks) {
  return (allowsLineBreaks ? CONTROL_BUT_LINE_BREAKS : ANY_CONTROL).test(text);
}
