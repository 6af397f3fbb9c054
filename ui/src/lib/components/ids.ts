/** The search field, which a key leads to from anywhere. */
export const SEARCH_ID = "search";
