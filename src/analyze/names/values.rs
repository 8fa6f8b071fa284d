//! What fills a template's slots: names, addresses, dates and numbers in the forms of many countries.

use super::random::Random;
use super::words::Words;
use crate::classify::names::Entity;

/// Makes values.
pub struct Values<'w> {
    words: &'w Words,
    random: Random,
}

const SYLLABLES: &str = "ba ben bor bra ca car cha cor da del den dor dra el en fa fer fin flo ga gar gen gra ha han har hel \
    in ja jo ka kar ken kin ko la lan len li lo lu ma mar men mi mo na nel ni no ol or pa per pin po ra ren ri ro ru sa sal \
    san sel shi sil so sta su ta tan tel ter ti to tra tu va van ver vi vo wa wen wi ya yo za zen zi zo";
const ENDINGS: &str = "son sen man er ez ov ova ski ska ic ini elli etti ard eau ier ini as is os us ak ek ik uk an en in on un a o \
    e i dottir shvili yan oglu wala pur ton ham ley worth field stein berg thal dorf mann";
const NATURE: &str = "Oak Maple Pine Cedar Elm Birch Willow Park Lake Hill River Church Mill Station Market School Bridge Garden \
    Victoria King's Queen's Main High North South West East Spring Forest Meadow Sunset Washington Franklin Lincoln First \
    Second Third Fourth 5th 12th 21st 42nd Harbour Castle Abbey Priory Manor Chestnut Poplar Linden Rose Lily Fox Orchard";
const ENGLISH: &str = "Street St St. Avenue Ave Ave. Road Rd Rd. Lane Ln Drive Dr Boulevard Blvd Court Ct Place Square Terrace Way \
    Close Crescent Parkway Highway Circle Trail Grove Gardens Hill Row Mews Walk Loop Plaza Pike Ridge Run";
const GERMAN: &str = "strasse straße str. weg gasse allee platz ring ufer damm";
const NORTHERN: &str =
    "straat laan plein gracht kade dreef singel gatan vägen gata vej gade vænget veien gate katu tie kuja";
const COMPOUNDS: &str =
    "Tech Soft Works Net Data Lab Point Bridge Flow Gen Pay Bank Med Cloud ly ify io hub base source scope quest";
const COMPANY_WORDS: &str = "Open Data Blue Red Green First National American European Global United General Pacific Atlantic Northern \
    Southern Western Eastern Royal Public Health Care Food Energy Power Water Steel Paper Glass Wood Stone Iron Silver Gold Sun \
    Moon Star Sky Cloud Fire Earth Ocean River Mountain Valley Forest Garden Bird Eagle Lion Bear Wolf Fox Tiger Apple Orange \
    Map City Street Home House Building Property Credit Capital Trust Bond Rating Agency Insurance Finance Money Pay Market \
    Trade Shop Store Book Music Film Radio Media News Press Post Mail Phone Mobile Net Web Site Link Code Soft Logic Smart \
    Bright Clear Fast Quick Safe Secure Solid Simple Pure Prime Alpha Beta Omega Delta Sigma Vision Insight Focus Bridge Gate \
    Road Rail Air Sea Ship Car Motor Drive Ride Fly Travel Tour Sport Game Play Fun Life Bio Gen Med Pharma Lab Science Space \
    Network Networks Analytics Systems Partners Sciences Labs Works Studio Brothers Lines Airways";
const STATES: &str = "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK \
    OR PA RI SC SD TN TX UT VT VA WA WV WI WY";
const RELATIVES: &str =
    "mother father sister brother son daughter wife husband uncle aunt grandmother grandfather cousin friend";
const MONTH_NAMES: &str = "January February March April May June July August September October November December";
const DAYS: &str = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday";
const CYRILLIC: &str = "Иван Петров,Мария Соколова,Алексей Смирнов,Ольга Кузнецова,Дмитрий Волков,Анна Морозова,Сергей Лебедев,\
    Тарас Шевченко,Оксана Бондаренко,Николай Орлов";

impl<'w> Values<'w> {
    /// Values from these words, by this chance.
    pub fn new(words: &'w Words, random: Random) -> Self {
        Self { words, random }
    }

    /// The chance behind the values.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// A value for a slot, and what it is.
    ///
    /// # Panics
    /// If there is no such slot: templates are part of the program.
    pub fn of(&mut self, slot: &str) -> (String, Option<Entity>) {
        let entity = match slot {
            "person" | "first" | "last" | "person_cyrillic" => Some(Entity::Person),
            "address" | "address_lines" | "street_line" | "street" | "zip" | "postcode" | "city_a" => {
                Some(Entity::Address)
            }
            "city" | "country" => Some(Entity::Location),
            "org" => Some(Entity::Organisation),
            "dob" => Some(Entity::BirthDate),
            "health" => Some(Entity::Health),
            _ => None,
        };
        (self.value(slot), entity)
    }

    fn value(&mut self, slot: &str) -> String {
        match slot {
            "person" => self.person(),
            "first" => self.first(),
            "last" => self.last(),
            "person_cyrillic" => self.word(CYRILLIC, ','),
            "address" => self.address(false),
            "address_lines" => self.address(true),
            "street_line" => self.street_line(),
            "street" => self.street(),
            "zip" | "postcode" => self.postcode(),
            "city" | "city_a" => self.city(),
            "country" => self.random.pick(&self.words.countries).to_owned(),
            "org" => self.organisation(),
            "dob" => self.date(true),
            "date" => self.date(false),
            "health" => self.random.pick(&self.words.health).to_owned(),
            "job" => self.random.pick(&self.words.jobs).to_owned(),
            "age" => self.random.between(2, 97).to_string(),
            "num" => self.number(),
            "year" => self.random.between(1950, 2026).to_string(),
            "money" => self.money(),
            "time" => format!("{:02}:{:02}", self.random.below(24), self.random.below(60)),
            "weekday" => self.word(DAYS, ' '),
            "month" => self.word(MONTH_NAMES, ' '),
            "pronoun" => self.word("he she they", ' '),
            "pronoun_cap" => self.word("He She They", ' '),
            "relative" => self.word(RELATIVES, ' '),
            "title" => self.word("Mr. Mrs. Ms. Mr Mrs Ms Dr. Dr Prof. Sir Herr Frau Madame", ' '),
            "id" => self.pattern(["AB######", "####-####", "ORD-#####", "#######", "X#X#X##"]),
            "phone" => {
                self.pattern(["+1 ### ### ####", "(###) ###-####", "0## ### ####", "+49 ## #######", "###-####"])
            }
            "card" => self.pattern(["4###############", "4### #### #### ####", "5### #### #### ####"]),
            "ssn" => self.pattern(["###-##-####"]),
            "ip" => self.pattern(["10.#.##.#", "192.168.#.##"]),
            "email" => format!("{}{}@example.com", self.invented().to_lowercase(), self.random.below(100)),
            other => unreachable!("a template has the unknown slot `{other}`"),
        }
    }

    fn word(&mut self, words: &'static str, separator: char) -> String {
        let words: Vec<&str> = words.split(separator).filter(|word| !word.is_empty()).collect();
        self.random.pick(&words).to_owned()
    }

    fn pattern<const N: usize>(&mut self, patterns: [&'static str; N]) -> String {
        let pattern = self.random.pick(&patterns);
        pattern
            .chars()
            .map(|c| match c {
                '#' => char::from(b'0' + self.random.below(10) as u8),
                'X' => char::from(b'A' + self.random.below(26) as u8),
                c => c,
            })
            .collect()
    }

    fn number(&mut self) -> String {
        let most = [9, 99, 999, 99_999][self.random.below(4)];
        self.random.between(1, most).to_string()
    }

    fn money(&mut self) -> String {
        let amount = self.number();
        match self.random.below(4) {
            0 => format!("${amount}"),
            1 => format!("{amount} EUR"),
            2 => format!("£{amount}.00"),
            _ => format!("{amount} dollars"),
        }
    }

    // === People ===

    /// A capitalised word that no list knows, so that the model does not come to rely on the lists.
    fn invented(&mut self) -> String {
        let mut word = String::new();
        for _ in 0..self.random.between(1, 2) {
            word.push_str(&self.word(SYLLABLES, ' '));
        }
        word.push_str(&self.word(ENDINGS, ' '));
        capitalised(&word)
    }

    fn first(&mut self) -> String {
        if self.random.chance(25) { self.invented() } else { self.random.pick(&self.words.first).to_owned() }
    }

    fn last(&mut self) -> String {
        let name = if self.random.chance(35) { self.invented() } else { self.random.pick(&self.words.last).to_owned() };
        match self.random.below(40) {
            0 => format!("van der {name}"),
            1 => format!("de {name}"),
            2 => format!("{name}-{}", self.random.pick(&self.words.last)),
            3 => format!("Mc{name}"),
            _ => name,
        }
    }

    fn person(&mut self) -> String {
        let (first, last) = (self.first(), self.last());
        match self.random.below(20) {
            0 => format!("{last}, {first}"),
            1 => format!("{first} {}. {last}", self.pattern(["X"])),
            2 => format!("{}. {last}", self.pattern(["X"])),
            3 => format!("{}. {}. {last}", self.pattern(["X"]), self.pattern(["X"])),
            4 => format!("{first} {} {last}", self.first()),
            5 => format!("{first} {last} {}", self.last()),
            6 => format!("{first}-{} {last}", self.first()),
            7 => format!("{first} {last} {}", self.word("Jr. Jr III PhD MD Sr.", ' ')),
            8 => first,
            _ => format!("{first} {last}"),
        }
    }

    // === Organisations ===

    fn organisation(&mut self) -> String {
        match self.random.below(20) {
            0..5 => self.random.pick(&self.words.organisations).to_owned(),
            5..9 => format!("{} {}", self.organisation_base(), self.random.pick(&self.words.tails)),
            9 => format!("{} & {}", self.last(), self.last()),
            10 => format!("University of {}", self.city()),
            11 => format!("{} of {}", self.word("Bank Ministry Museum Church Port City Museum", ' '), self.city()),
            12 => format!("{}-{}", self.last(), self.last()),
            13 => format!("{}, {} and {}", self.last(), self.last(), self.last()),
            14 => format!("{}{}", self.invented(), self.word(COMPOUNDS, ' ')),
            15 | 16 => format!("{} {}", self.word(COMPANY_WORDS, ' '), self.word(COMPANY_WORDS, ' ')),
            17 => {
                let words = [(); 3].map(|()| self.word(COMPANY_WORDS, ' '));
                format!("{} {} {}", words[0], words[1], words[2])
            }
            18 => capitalised(&format!(
                "{}{}",
                self.word(COMPANY_WORDS, ' '),
                self.word(COMPANY_WORDS, ' ').to_lowercase()
            )),
            _ => self.organisation_base(),
        }
    }

    fn organisation_base(&mut self) -> String {
        match self.random.below(6) {
            0 => self.last(),
            1 => self.pattern(["XXX", "XX", "XXXX", "X&X"]),
            2 => format!("{} {}", self.invented(), self.invented()),
            3 => self.word(COMPANY_WORDS, ' '),
            _ => self.invented(),
        }
    }

    // === Places ===

    fn city(&mut self) -> String {
        if self.random.chance(70) {
            return self.random.pick(&self.words.cities).to_owned();
        }
        let name = self.invented();
        match self.random.below(8) {
            0 => format!("San {name}"),
            1 => format!("Saint-{name}"),
            2 => format!("{name} am {}", self.invented()),
            3 => format!("{name} de {}", self.invented()),
            4 => format!("{} {name}", self.word("New Port Lake Fort Mount East Villa Bad Nova", ' ')),
            _ => name,
        }
    }

    /// What a street is named after.
    fn base(&mut self) -> String {
        match self.random.below(10) {
            0..3 => self.word(NATURE, ' '),
            3..5 => self.random.pick(&self.words.last).to_owned(),
            5 => format!("{} {}", self.first(), self.last()),
            6 => self.random.pick(&self.words.cities).to_owned(),
            _ => self.invented(),
        }
    }

    fn street(&mut self) -> String {
        let base = self.base();
        match self.random.below(24) {
            0..8 => format!("{base} {}", self.word(ENGLISH, ' ')),
            8..11 => format!("{}{}", self.invented(), self.word(GERMAN, ' ')),
            11..13 => format!("{}{}", self.invented(), self.word(NORTHERN, ' ')),
            13 => format!("{} {}", base, capitalised(&self.word(GERMAN, ' '))),
            14 => format!("{} {base}", self.word("rue Rue avenue place quai chemin impasse boulevard allée", ' ')),
            15 => format!("Rue {} {base}", self.word("de du des d'", ' ')),
            16 => format!("{} {base}", self.word("Calle C/ Av. Avenida Paseo Plaza Carrera Camino Ronda Ctra.", ' ')),
            17 => format!("Calle de {} {base}", self.word("la los las", ' ')),
            18 => format!("{} {base}", self.word("Via Viale Piazza Corso Vicolo Largo Strada", ' ')),
            19 => format!("{} {base}", self.word("Rua Travessa Avenida Praça Alameda Rodovia Vila", ' ')),
            20 => format!("{} {base}", self.word("ul. al. ulica Aleje os. pl.", ' ')),
            21 => format!("{base} {}", self.word("utca út u. tér körút Caddesi Sokak Cd. ulice náměstí třída", ' ')),
            22 => format!("{} {base}", self.word("Jalan Jl. Soi Strada Bulevardul Calea Ulitsa ул. просп. Οδός", ' ')),
            _ => base,
        }
    }

    fn house_number(&mut self) -> String {
        let number = match self.random.below(3) {
            0 => self.random.between(1, 20),
            1 => self.random.between(1, 200),
            _ => self.random.between(1, 9999),
        };
        match self.random.below(14) {
            0 => format!("{number}{}", self.word("a b c A B bis", ' ')),
            1 => format!("{number}/{}", self.random.between(1, 40)),
            2 => format!("{number}-{}", number + 2),
            3 => format!("No. {number}"),
            _ => number.to_string(),
        }
    }

    fn unit(&mut self) -> String {
        let number = self.random.between(1, 999);
        let word =
            self.word("Apt. Apt Suite Ste Unit Flat Floor Room Building # Piso lgh Wohnung étage App. Block Dept", ' ');
        if word == "#" { format!("#{number}") } else { format!("{word} {number}") }
    }

    fn street_line(&mut self) -> String {
        let (street, number) = (self.street(), self.house_number());
        match self.random.below(20) {
            0..8 => format!("{number} {street}"),
            8..14 => format!("{street} {number}"),
            14 => format!("{street}, {number}"),
            15 => format!("{number} {street} {}", self.unit()),
            16 => format!("{street} {number}, {}", self.unit()),
            17 => format!("{number} {street} {}", self.house_number()),
            18 => format!("{} {number} {street}", self.unit()),
            _ => format!("{number}, {street}"),
        }
    }

    fn postcode(&mut self) -> String {
        self.pattern([
            "#####",
            "#####",
            "#####",
            "#####-####",
            "####",
            "#### XX",
            "### ##",
            "##-###",
            "XX# #XX",
            "X## #XX",
            "XX## #XX",
            "X#X #X#",
            "XX #####",
            "D-#####",
            "CH-####",
            "L-####",
            "######",
            "###-####",
            "#####-###",
        ])
    }

    fn special_address(&mut self, line: &str) -> String {
        let zip = self.pattern(["#####", "#####-####"]);
        let number = self.random.between(1, 9999);
        match self.random.below(6) {
            0 => format!("the corner of {} and {}", self.street(), self.street()),
            1 => format!("{} {} {number}{line}{}", self.word("PSC CMR", ' '), number, self.military(&zip)),
            2 => format!("Unit {number} Box {}{line}{}", self.random.between(1, 9999), self.military(&zip)),
            3 => format!("{} {}{line}{}", self.ship(), self.last(), self.military(&zip)),
            4 => format!("{} {number}{line}{} {zip}", self.post_box(), self.city()),
            _ => format!("RR {} Box {number}{line}{}, {} {zip}", number % 9, self.city(), self.word(STATES, ' ')),
        }
    }

    fn post_box(&mut self) -> &'static str {
        self.random.pick(&["P.O. Box", "PO Box", "Post Office Box", "Postfach", "Apartado", "BP", "Casella Postale"])
    }

    fn ship(&mut self) -> &'static str {
        self.random.pick(&["USNS", "USS", "USCGC", "HMS"])
    }

    fn military(&mut self, zip: &str) -> String {
        format!("{} {} {zip}", self.word("APO FPO DPO", ' '), self.word("AA AE AP", ' '))
    }

    fn address(&mut self, lines: bool) -> String {
        let line = match self.random.below(6) {
            _ if lines => self.random.pick(&["\n", "\n", "\n ", "\\n"]),
            0 => "\n",
            1 => " ",
            _ => ", ",
        };
        if self.random.chance(12) {
            return self.special_address(line);
        }
        let mut parts = vec![self.street_line()];
        if self.random.chance(20) {
            parts.push(self.unit());
        }
        let (city, code) = (self.city(), self.postcode());
        match self.random.below(10) {
            0..3 => parts.push(format!("{city}, {} {}", self.word(STATES, ' '), self.pattern(["#####", "#####-####"]))),
            3..6 => parts.push(format!("{code} {city}")),
            6 => parts.push(format!("{city} {code}")),
            7 => parts.extend([city, code]),
            8 => parts.push(city),
            _ => {}
        }
        if self.random.chance(35) {
            let country = self.random.pick(&self.words.countries).to_owned();
            parts.push(if self.random.chance(25) { format!("{country} {}", self.postcode()) } else { country });
        }
        parts.join(line)
    }

    // === Dates ===

    fn date(&mut self, of_birth: bool) -> String {
        let year = if of_birth { self.random.between(1925, 2022) } else { self.random.between(1990, 2027) };
        let (month, day) = (self.random.between(1, 12), self.random.between(1, 28));
        let name = MONTH_NAMES.split(' ').nth(month - 1).unwrap_or_default();
        let short = &name[..3];
        match self.random.below(14) {
            0 => format!("{year}-{month:02}-{day:02}"),
            1 | 2 => format!("{day:02}/{month:02}/{year}"),
            3 => format!("{month}/{day}/{year}"),
            4 | 5 => format!("{day:02}.{month:02}.{year}"),
            6 => format!("{day}.{month}.{:02}", year % 100),
            7 => format!("{month}/{day}/{:02}", year % 100),
            8 | 9 => format!("{name} {day}, {year}"),
            10 => format!("{day} {name} {year}"),
            11 => format!("{short} {day} {year}"),
            12 => format!("{day}-{short}-{year}"),
            _ => format!(
                "{day}. {} {year}",
                self.word("Januar Februar März Mai Juni Juli mars juin août enero marzo luglio", ' ')
            ),
        }
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
