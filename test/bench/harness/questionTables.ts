/** What the questions of `checkableQuestions.ts` are made of. Their order is part of what a seed means. */

export const capitals = pairs(`
  France: Paris, Italy: Rome, Spain: Madrid, Germany: Berlin, Japan: Tokyo, China: Beijing, Russia: Moscow, Egypt:
  Cairo, Greece: Athens, Portugal: Lisbon, Austria: Vienna, Poland: Warsaw, Hungary: Budapest, Norway: Oslo,
  Sweden: Stockholm, Finland: Helsinki, Denmark: Copenhagen, Ireland: Dublin, Belgium: Brussels, Turkey: Ankara,
  Iran: Tehran, Iraq: Baghdad, India: New Delhi, Thailand: Bangkok, Vietnam: Hanoi, Indonesia: Jakarta, Australia:
  Canberra, Canada: Ottawa, Mexico: Mexico City, Cuba: Havana, Peru: Lima, Chile: Santiago, Argentina: Buenos
  Aires, Brazil: Brasilia, Colombia: Bogota, Venezuela: Caracas, Kenya: Nairobi, Nigeria: Abuja, Ghana: Accra,
  Morocco: Rabat, Algeria: Algiers, Tunisia: Tunis, Ukraine: Kyiv, Romania: Bucharest, Bulgaria: Sofia, Serbia:
  Belgrade, Croatia: Zagreb, Nepal: Kathmandu, Mongolia: Ulaanbaatar, Afghanistan: Kabul, Ethiopia: Addis Ababa,
  Senegal: Dakar, Uruguay: Montevideo, Iceland: Reykjavik, Estonia: Tallinn, Latvia: Riga, Lithuania: Vilnius,
  Slovakia: Bratislava
`)
export const opposites = pairs(`
  hot: cold, big: small, tall: short, fast: slow, light: dark, old: new, rich: poor, happy: sad, early: late,
  full: empty, hard: soft, high: low, open: closed, strong: weak, wet: dry, young: old, near: far, wide: narrow,
  thick: thin, cheap: expensive, clean: dirty, deep: shallow, loud: quiet, true: false, alive: dead, brave:
  cowardly, win: lose, buy: sell, begin: end, push: pull, love: hate, remember: forget, arrive: depart, increase:
  decrease, ancient: modern, sharp: dull, smooth: rough
`)
export const pasts = pairs(`
  go: went, eat: ate, see: saw, run: ran, take: took, give: gave, write: wrote, speak: spoke, drive: drove, begin:
  began, drink: drank, swim: swam, sing: sang, fly: flew, know: knew, grow: grew, throw: threw, break: broke,
  choose: chose, forget: forgot, buy: bought, bring: brought, think: thought, teach: taught, catch: caught, feel:
  felt, keep: kept, leave: left, sleep: slept, find: found, tell: told, sell: sold, stand: stood, hold: held,
  read: read, cut: cut, steal: stole, freeze: froze
`)
export const plurals = pairs(`
  cat: cats, box: boxes, city: cities, child: children, mouse: mice, foot: feet, tooth: teeth, man: men, woman:
  women, leaf: leaves, knife: knives, wolf: wolves, goose: geese, church: churches, baby: babies, potato:
  potatoes, hero: heroes, bus: buses, dish: dishes, person: people, sheep: sheep, ox: oxen, lady: ladies, story:
  stories, life: lives, loaf: loaves, thief: thieves, tomato: tomatoes
`)
export const continents = pairs(`
  Kenya: Africa, Egypt: Africa, Ghana: Africa, Morocco: Africa, Ethiopia: Africa, Angola: Africa, Mali: Africa,
  Japan: Asia, China: Asia, India: Asia, Thailand: Asia, Nepal: Asia, Iran: Asia, Mongolia: Asia, Laos: Asia,
  France: Europe, Spain: Europe, Poland: Europe, Norway: Europe, Greece: Europe, Ireland: Europe, Latvia: Europe,
  Brazil: South America, Peru: South America, Chile: South America, Bolivia: South America, Uruguay: South
  America, Canada: North America, Mexico: North America, Cuba: North America, Panama: North America, Honduras:
  North America
`)
export const languages = pairs(`
  Germany: German, France: French, Italy: Italian, Japan: Japanese, Russia: Russian, Brazil: Portuguese, Mexico:
  Spanish, Argentina: Spanish, Cuba: Spanish, Poland: Polish, Sweden: Swedish, Turkey: Turkish, Greece: Greek,
  Hungary: Hungarian, Finland: Finnish, Denmark: Danish, Vietnam: Vietnamese, Thailand: Thai, Egypt: Arabic, Iraq:
  Arabic, Morocco: Arabic, Iran: Persian, Israel: Hebrew, Austria: German, Angola: Portuguese, Senegal: French,
  Ukraine: Ukrainian, Romania: Romanian, Bulgaria: Bulgarian, Mongolia: Mongolian, Nepal: Nepali
`)
export const symbols = pairs(`
  hydrogen: H, helium: He, carbon: C, nitrogen: N, fluorine: F, neon: Ne, sodium: Na, magnesium: Mg, aluminium:
  Al, silicon: Si, phosphorus: P, sulfur: S, chlorine: Cl, argon: Ar, potassium: K, calcium: Ca, titanium: Ti,
  chromium: Cr, manganese: Mn, cobalt: Co, nickel: Ni, copper: Cu, zinc: Zn, bromine: Br, silver: Ag, tin: Sn,
  iodine: I, platinum: Pt, mercury: Hg, lead: Pb, uranium: U, lithium: Li, boron: B
`)
export const animals = pairs(`
  lion: mammal, whale: mammal, bat: mammal, horse: mammal, dolphin: mammal, mouse: mammal, camel: mammal, eagle:
  bird, penguin: bird, ostrich: bird, owl: bird, parrot: bird, sparrow: bird, duck: bird, crow: bird, shark: fish,
  salmon: fish, tuna: fish, trout: fish, cod: fish, eel: fish, goldfish: fish, herring: fish, ant: insect, bee:
  insect, butterfly: insect, beetle: insect, mosquito: insect, fly: insect, wasp: insect
`)
export const days = listed('Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday')
export const words = listed(`
  apple, river, stone, garden, window, silver, planet, bridge, candle, forest, market, pencil, rocket, shadow,
  tunnel, violin, basket, copper, desert, engine, flower, guitar, hammer, island, jacket, kitten, ladder, mirror,
  needle, orange
`)

/** `name: value`, with commas between. */
function pairs(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    listed(text).map((pair): [string, string] => [pair.split(': ')[0] ?? '', pair.split(': ')[1] ?? '']),
  )
}

function listed(text: string): string[] {
  return text.replaceAll(/\s+/g, ' ').trim().split(', ')
}
