/** Time between two frames of one stream in the router bench, for the mock and for simulated workers alike. */
export const paceMs = 20
