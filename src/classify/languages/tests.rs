use super::*;

/// One short paragraph each, of our own: how a boat trip was, how to write to the town hall, what the meeting decided.
const SENTENCES: [(&str, [&str; 3]); 22] = [
    (
        "en",
        [
            "Yesterday we took the early boat to the island and walked along the cliffs until it began to rain in the afternoon.",
            "Please write to the town hall before the end of the month if you would like to keep your place in the market.",
            "The committee decided that the old bridge should be repaired first and that the new road can wait until spring.",
        ],
    ),
    (
        "de",
        [
            "Gestern sind wir mit dem frühen Schiff auf die Insel gefahren und an den Klippen entlanggelaufen, bis es am Nachmittag regnete.",
            "Bitte schreiben Sie vor Ende des Monats an das Rathaus, wenn Sie Ihren Platz auf dem Markt behalten möchten.",
            "Der Ausschuss hat beschlossen, dass zuerst die alte Brücke repariert wird und die neue Straße bis zum Frühling warten kann.",
        ],
    ),
    (
        "fr",
        [
            "Hier nous avons pris le premier bateau pour l'île et nous avons marché le long des falaises jusqu'à la pluie de l'après-midi.",
            "Veuillez écrire à la mairie avant la fin du mois si vous souhaitez conserver votre emplacement au marché.",
            "Le comité a décidé que le vieux pont serait réparé d'abord et que la nouvelle route pouvait attendre le printemps.",
        ],
    ),
    (
        "es",
        [
            "Ayer tomamos el primer barco hacia la isla y caminamos por los acantilados hasta que empezó a llover por la tarde.",
            "Por favor, escriba al ayuntamiento antes de fin de mes si desea conservar su puesto en el mercado.",
            "El comité decidió que primero se reparará el puente viejo y que la carretera nueva puede esperar hasta la primavera.",
        ],
    ),
    (
        "pt",
        [
            "Ontem apanhámos o primeiro barco para a ilha e caminhámos pelas falésias até começar a chover durante a tarde.",
            "Por favor, escreva à câmara municipal antes do fim do mês se quiser manter o seu lugar no mercado.",
            "A comissão decidiu que a ponte antiga será reparada primeiro e que a nova estrada pode esperar até à primavera.",
        ],
    ),
    (
        "it",
        [
            "Ieri abbiamo preso il primo battello per l'isola e abbiamo camminato lungo le scogliere finché nel pomeriggio ha piovuto.",
            "La preghiamo di scrivere al municipio entro la fine del mese se desidera conservare il suo posto al mercato.",
            "Il comitato ha deciso che prima verrà riparato il vecchio ponte e che la nuova strada può aspettare la primavera.",
        ],
    ),
    (
        "nl",
        [
            "Gisteren namen we de vroege boot naar het eiland en liepen we langs de kliffen tot het in de middag begon te regenen.",
            "Schrijf alstublieft voor het einde van de maand aan het gemeentehuis als u uw plaats op de markt wilt behouden.",
            "De commissie heeft besloten dat eerst de oude brug wordt hersteld en dat de nieuwe weg tot het voorjaar kan wachten.",
        ],
    ),
    (
        "sv",
        [
            "I går tog vi den tidiga båten till ön och gick längs klipporna tills det började regna på eftermiddagen.",
            "Skriv gärna till kommunhuset före månadens slut om du vill behålla din plats på torget.",
            "Kommittén beslutade att den gamla bron ska lagas först och att den nya vägen kan vänta till våren.",
        ],
    ),
    (
        "da",
        [
            "I går tog vi den tidlige båd til øen og gik langs klipperne, indtil det begyndte at regne om eftermiddagen.",
            "Skriv venligst til rådhuset inden månedens udgang, hvis du ønsker at beholde din plads på torvet.",
            "Udvalget besluttede, at den gamle bro skal repareres først, og at den nye vej kan vente til foråret.",
        ],
    ),
    (
        "pl",
        [
            "Wczoraj popłynęliśmy wczesnym statkiem na wyspę i szliśmy wzdłuż klifów, aż po południu zaczęło padać.",
            "Prosimy napisać do ratusza przed końcem miesiąca, jeśli chcą Państwo zachować swoje miejsce na targu.",
            "Komisja zdecydowała, że najpierw zostanie naprawiony stary most, a nowa droga może poczekać do wiosny.",
        ],
    ),
    (
        "cs",
        [
            "Včera jsme jeli ranní lodí na ostrov a šli jsme podél útesů, dokud odpoledne nezačalo pršet.",
            "Napište prosím na radnici do konce měsíce, pokud si chcete ponechat své místo na trhu.",
            "Výbor rozhodl, že nejdříve bude opraven starý most a že nová silnice může počkat do jara.",
        ],
    ),
    (
        "hu",
        [
            "Tegnap a korai hajóval mentünk a szigetre, és a sziklák mentén sétáltunk, amíg délután el nem kezdett esni az eső.",
            "Kérjük, írjon a városházának a hónap vége előtt, ha meg szeretné tartani a helyét a piacon.",
            "A bizottság úgy döntött, hogy először a régi hidat javítják meg, az új út pedig várhat tavaszig.",
        ],
    ),
    (
        "ro",
        [
            "Ieri am luat vaporul de dimineață spre insulă și am mers de-a lungul stâncilor până când a început să plouă după-amiază.",
            "Vă rugăm să scrieți primăriei înainte de sfârșitul lunii dacă doriți să vă păstrați locul în piață.",
            "Comitetul a hotărât că mai întâi va fi reparat podul vechi și că drumul nou poate aștepta până la primăvară.",
        ],
    ),
    (
        "fi",
        [
            "Eilen menimme aikaisella laivalla saarelle ja kävelimme kallioita pitkin, kunnes iltapäivällä alkoi sataa.",
            "Olkaa hyvä ja kirjoittakaa kaupungintalolle ennen kuun loppua, jos haluatte pitää paikkanne torilla.",
            "Lautakunta päätti, että vanha silta korjataan ensin ja että uusi tie voi odottaa kevääseen.",
        ],
    ),
    (
        "tr",
        [
            "Dün sabah erken kalkan vapurla adaya gittik ve öğleden sonra yağmur başlayana kadar kayalıklar boyunca yürüdük.",
            "Pazardaki yerinizi korumak istiyorsanız lütfen ay sonundan önce belediyeye yazın.",
            "Kurul, önce eski köprünün onarılmasına ve yeni yolun ilkbahara kadar bekleyebileceğine karar verdi.",
        ],
    ),
    (
        "vi",
        [
            "Hôm qua chúng tôi đi chuyến tàu sớm ra đảo và đi bộ dọc theo vách đá cho đến khi trời bắt đầu mưa vào buổi chiều.",
            "Xin vui lòng viết thư cho tòa thị chính trước cuối tháng nếu bạn muốn giữ chỗ của mình ở chợ.",
            "Ủy ban đã quyết định rằng cây cầu cũ sẽ được sửa trước và con đường mới có thể chờ đến mùa xuân.",
        ],
    ),
    (
        "ru",
        [
            "Вчера мы отправились на остров утренним пароходом и гуляли вдоль скал, пока после обеда не пошёл дождь.",
            "Пожалуйста, напишите в мэрию до конца месяца, если хотите сохранить своё место на рынке.",
            "Комитет решил, что сначала отремонтируют старый мост, а новая дорога может подождать до весны.",
        ],
    ),
    (
        "el",
        [
            "Χθες πήραμε το πρωινό πλοίο για το νησί και περπατήσαμε κατά μήκος των βράχων ώσπου άρχισε να βρέχει το απόγευμα.",
            "Παρακαλούμε γράψτε στο δημαρχείο πριν από το τέλος του μήνα αν θέλετε να κρατήσετε τη θέση σας στην αγορά.",
            "Η επιτροπή αποφάσισε ότι πρώτα θα επισκευαστεί η παλιά γέφυρα και ότι ο νέος δρόμος μπορεί να περιμένει.",
        ],
    ),
    (
        "ar",
        [
            "ركبنا بالأمس القارب المبكر إلى الجزيرة ومشينا على طول المنحدرات حتى بدأ المطر يهطل بعد الظهر.",
            "يرجى الكتابة إلى مبنى البلدية قبل نهاية الشهر إذا كنتم ترغبون في الاحتفاظ بمكانكم في السوق.",
            "قررت اللجنة إصلاح الجسر القديم أولا وأن الطريق الجديد يمكن أن ينتظر حتى الربيع.",
        ],
    ),
    (
        "hi",
        [
            "कल हम सुबह की नाव से द्वीप पर गए और दोपहर में बारिश शुरू होने तक चट्टानों के किनारे चलते रहे।",
            "यदि आप बाज़ार में अपनी जगह बनाए रखना चाहते हैं तो कृपया महीने के अंत से पहले नगर भवन को लिखें।",
            "समिति ने तय किया कि पहले पुराने पुल की मरम्मत होगी और नई सड़क वसंत तक रुक सकती है।",
        ],
    ),
    (
        "ja",
        [
            "昨日は朝早い船で島に渡り、午後に雨が降り始めるまで崖に沿って歩きました。とても静かな一日でした。",
            "市場の場所を引き続き利用したい方は、月末までに市役所へ手紙を書いてください。お待ちしております。",
            "委員会は、まず古い橋を修理し、新しい道路は春まで待つことができると決定しました。",
        ],
    ),
    (
        "zh",
        [
            "昨天我们坐早班船去了岛上，沿着悬崖一直走到下午开始下雨的时候，那是非常安静的一天。",
            "如果您想保留在市场上的位置，请在月底之前写信给市政厅，我们会尽快给您答复。",
            "委员会决定首先修理旧桥，新的道路可以等到明年春天再修建，大家都同意这个计划。",
        ],
    ),
];

/// What is no prose, is short, or is English with something else in it.
const HARMLESS: [&str; 12] = [
    "ok",
    "Bonjour !",
    "Translate \u{201c}guten Morgen\u{201d} into French, and explain the grammar to somebody who has just begun to learn it.",
    "fn main() {\n    let total = items.iter().map(|item| item.price * item.count).sum::<u64>();\n    println!(\"{total}\");\n}\n",
    "for item in basket:\n    total += item.price * item.count\nif total > limit:\n    raise ValueError(total)\nreturn total\n",
    "SELECT name, sum(price) FROM orders JOIN customers USING (customer_id) WHERE country = 'FR' GROUP BY name HAVING sum(price) > 100;",
    r#"{"nom": "Dupont", "adresse": {"rue": "de la Paix", "ville": "Paris"}, "commandes": [{"article": "chaise", "prix": 40}]}"#,
    "https://example.org/une/page/tres/longue/avec/beaucoup/de/mots/francais/dans/son/chemin/et/sa/requete?mot=bonjour&autre=monde",
    "Aiko Tanaka, Lars Svensson, Chidi Okafor, Maria Gonzalez, Wei Zhang, Katarzyna Nowak, Giovanni Rossi, Siobhan Murphy",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 123e4567-e89b-42d3-a456-426614174000 4111",
    "Let f(x) = x^2 + 3x - 4. Find all x such that f(x) = 0, and then the area between the curve and the axis from -4 to 1.",
    "```\nAujourd'hui nous avons pris le premier bateau pour l'\u{ee}le et nous avons march\u{e9} le long des falaises.\n```\n",
];

fn only(usual: &[&str]) -> Languages {
    let mut languages = Languages::default();
    languages.add(0, &usual.iter().map(|code| Language::parse(code).unwrap()).collect::<Vec<_>>());
    languages
}

/// The verdict about a text, as a scan makes it.
fn verdict(languages: &Languages, text: &str) -> Truth {
    let foreign = languages.look(text);
    foreign.iter().map(|foreign| foreign.truth).fold(Truth::False, |all, one| all | one)
}

/// Sentences of about a hundred letters, the hardest case; longer texts are told more surely.
#[test]
fn sentences_of_other_languages_are_told_from_those_of_the_usual_ones() {
    let (languages, mut missed, mut alarms) = (only(&["en", "de"]), Vec::new(), Vec::new());
    for (code, texts) in SENTENCES {
        let usual = ["en", "de"].contains(&code);
        for text in texts {
            match verdict(&languages, text) {
                Truth::True if usual => alarms.push(text),
                Truth::False | Truth::Unknown if !usual => missed.push(text),
                _ => {}
            }
        }
        let paragraph = texts.join(" ");
        let expected = if usual { Truth::False } else { Truth::True };
        assert_eq!(verdict(&languages, &paragraph), expected, "{code}");
    }
    assert_eq!(alarms, [""; 0]);
    assert!(missed.len() <= 2, "{} of {}: {missed:#?}", missed.len(), 3 * (SENTENCES.len() - 2));
}

#[test]
fn each_language_is_let_pass_where_it_is_the_usual_one() {
    for (code, texts) in SENTENCES {
        assert_eq!(verdict(&only(&[code]), &texts.join("\n\n")), Truth::False, "{code}");
    }
}

#[test]
fn code_data_names_and_short_texts_raise_no_alarm() {
    for text in HARMLESS {
        assert_eq!(verdict(&only(&["en"]), text), Truth::False, "{text}");
    }
}

#[test]
fn a_paragraph_within_a_long_text_is_found_and_its_place_told() {
    let english = SENTENCES[0].1.join(" ");
    let (french, filler) = (SENTENCES[2].1[0], [english.as_str(); 6].join("\n\n"));
    let text = format!("{filler}\n\n{french}\n\n{filler}");
    let foreign = only(&["en"]).look(&text);
    assert_eq!(foreign.len(), 1, "{foreign:?}");
    assert_eq!((foreign[0].code, foreign[0].truth), ("fr", Truth::True));
    assert_eq!(text[foreign[0].span.clone()].trim(), french);
}

#[test]
fn a_long_text_in_no_language_is_unknown() {
    let mut text = String::new();
    for i in 0..120_u32 {
        let word: String =
            (0..5).map(|j| char::from(b'a' + (i.wrapping_mul(2_654_435_761).rotate_left(5 * j) % 26) as u8)).collect();
        text.push_str(&word);
        text.push(' ');
    }
    assert_eq!(verdict(&only(&["en"]), &text), Truth::Unknown);
}

#[test]
fn every_language_has_a_code_of_its_own() {
    assert!(Lang::all().iter().all(|lang| Language::parse(Language(*lang).code()) == Some(Language(*lang))));
    assert_eq!(Language::NAMES.len(), Lang::all().len());
    assert_eq!(Language::parse("xx"), None);
}
