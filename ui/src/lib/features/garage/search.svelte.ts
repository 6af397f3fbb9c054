/** What the garage is searched for. It outlives the screen, so that whoever opens a vehicle comes back to what they had found. */
export const search = $state({ text: "" });
