/** The public JSON-schema test suite, as its npm package gives it. */
declare module 'json-schema-test-suite' {
  const suite: { draft4(): unknown }
  export default suite
}
