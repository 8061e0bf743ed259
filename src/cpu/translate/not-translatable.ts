/** Thrown by a meaning that only the interpreter can run, such as one that changes the mode. */
export class NotTranslatable extends Error {}
