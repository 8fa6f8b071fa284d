//! What must be found, however it is written.

use ajar::chat::{Part, Source};
use ajar::classify::{DetectorKind, DetectorSpec, Encoding, Finding, PatternSet, Recognizer, Scan, Scanner};

/// Something that must be found.
pub struct Canary {
    /// The entity that a finding of it has.
    pub entity: &'static str,
    /// As it is written in the clear, with the word that names it where one is needed.
    pub text: String,
}

/// Names in the dictionary.
pub const NAMES: [&str; 5] = ["Falconer", "Project Nightjar", "Zweibrücken AG", "Ostrava", "Blue Heron 7"];

/// One example of each identifier, with the word that names it.
const IDENTIFIERS: &[(&str, &str)] = &[
    ("card", "4111111111111111"),
    ("card", "5555-5555-5555-4444"),
    ("iban", "GB82WEST12345698765432"),
    ("iban", "DE89 3704 0044 0532 0130 00"),
    ("us_ssn", "536-22-8714"),
    ("btc_address", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("eth_address", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    ("at_svnr", "SVNR 1237010180"),
    ("be_national_number", "85.07.30-033.28"),
    ("bg_egn", "EGN 7523169263"),
    ("ch_ahv", "756.9217.0769.85"),
    ("cz_rodne_cislo", "710319/2745"),
    ("de_steuer_id", "86095742719"),
    ("ee_isikukood", "isikukood 36805280109"),
    ("es_dni", "12345678Z"),
    ("es_nie", "X1234567L"),
    ("fi_hetu", "131052-308T"),
    ("fr_nir", "255081416802538"),
    ("gr_amka", "AMKA 01013099997"),
    ("hr_oib", "OIB 33392005961"),
    ("ie_pps", "PPS 6433435F"),
    ("it_codice_fiscale", "RSSMRA85T10A562S"),
    ("nl_bsn", "BSN 111222333"),
    ("no_fodselsnummer", "15108695088"),
    ("pl_pesel", "PESEL 44051401359"),
    ("pt_nif", "NIF 501964843"),
    ("ro_cnp", "1630615123457"),
    ("se_personnummer", "811218-9876"),
    ("uk_nhs", "NHS 943 476 5919"),
    ("uk_nino", "AB123456C"),
    ("ar_cuit", "20-05536168-2"),
    ("br_cnpj", "11.222.333/0001-81"),
    ("br_cpf", "529.982.247-25"),
    ("ca_sin", "SIN 130692544"),
    ("cl_rut", "76.086.428-5"),
    ("mx_curp", "BOXW310820HNERXN09"),
    ("us_driver_license", "driver license B20417736"),
    ("us_itin", "912-90-3456"),
    ("au_medicare", "medicare 2123456701"),
    ("au_tfn", "TFN 123456782"),
    ("cn_resident_id", "11010519491231002X"),
    ("il_id", "teudat zehut 039337423"),
    ("in_aadhaar", "aadhaar 234123412346"),
    ("in_pan", "PAN ACUPA7085R"),
    ("jp_my_number", "my number 123456789018"),
    ("kr_rrn", "971013-9019902"),
    ("sg_nric", "S1234567D"),
    ("th_id", "thai id 1234545678781"),
    ("tr_kimlik", "kimlik 17291716060"),
    ("za_id", "7503305044089"),
];

/// Everything that has a checksum or a dictionary.
pub fn canaries(variants: usize, random: &mut Random) -> Vec<Canary> {
    let scanner = scanner();
    let mut canaries = Vec::new();
    for (entity, example) in IDENTIFIERS {
        canaries.push(Canary { entity, text: (*example).to_owned() });
        canaries.extend((1..variants).filter_map(|_| varied(&scanner, entity, example, random)));
    }
    canaries.extend(NAMES.iter().map(|name| Canary { entity: "dictionary", text: (*name).to_owned() }));
    canaries.push(Canary { entity: "label", text: "STRICTLY CONFIDENTIAL".to_owned() });
    canaries
}

/// Another number of the kind: some figures changed until it is valid again.
fn varied(scanner: &Scanner, entity: &'static str, example: &str, random: &mut Random) -> Option<Canary> {
    (0..20_000).find_map(|_| {
        let mut text = example.as_bytes().to_vec();
        for _ in 0..3 {
            let figures: Vec<usize> = (4..text.len()).filter(|i| text[*i].is_ascii_digit()).collect();
            text[figures[random.below(figures.len())]] = b'0' + random.below(10) as u8;
        }
        let text = String::from_utf8(text).unwrap();
        let plain = |found: &Finding| found.entity == entity && found.encoding == Encoding::Plain;
        let fresh = text != example && scan(scanner, &text).findings.iter().any(plain);
        fresh.then_some(Canary { entity, text })
    })
}

/// All detectors that this is about.
pub fn scanner() -> Scanner {
    let spec = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
    let recognizers = Recognizer::NAMES.iter().filter_map(|name| Recognizer::parse(name)).collect();
    let words = NAMES.iter().map(|name| (*name).to_owned()).collect();
    Scanner::new(&[
        spec("identifier", DetectorKind::Checksum(recognizers)),
        spec("names", DetectorKind::Dictionary { words, as_written: false }),
        spec("label", DetectorKind::Pattern(PatternSet::DocumentLabels)),
        spec("contact", DetectorKind::Pattern(PatternSet::Contact)),
        spec("secret", DetectorKind::Pattern(PatternSet::Secrets)),
    ])
}

pub fn scan(scanner: &Scanner, text: &str) -> Scan {
    scanner.scan(&[Part { source: Source::User, text: text.into() }])
}

pub fn finds(scan: &Scan, entity: &str) -> bool {
    scan.findings.iter().any(|finding| finding.entity == entity)
}

/// A small generator, the same in every run.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }
}
