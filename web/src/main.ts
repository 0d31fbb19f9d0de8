/** What a page imports: the library, and the element <rdae-img>, which importing it defines. */

export * from "./index.ts";
export * from "./page/element.ts";
