//! The language of a short letter, as an ISO 639-1 code.

use whatlang::{Detector, Lang, Script};

/// Letters below this are told by their script alone: guesses at a greeting are noise.
const CHARS_MIN: usize = 24;

/// The language of a text, when it can be told.
#[must_use]
pub fn of(text: &str) -> Option<&'static str> {
    let listed = CODES.iter().map(|(lang, _)| *lang).collect();
    let info = Detector::with_allowlist(listed).detect(text)?;
    // One script, one language: a word is enough.
    let by_script = match info.script() {
        Script::Mandarin => Some("zh"),
        Script::Hiragana | Script::Katakana => Some("ja"),
        Script::Hangul => Some("ko"),
        Script::Hebrew => Some("he"),
        Script::Greek => Some("el"),
        Script::Thai => Some("th"),
        Script::Georgian => Some("ka"),
        Script::Armenian => Some("hy"),
        _ => None,
    };
    if by_script.is_some() {
        return by_script;
    }
    if info.script() == Script::Cyrillic
        && let Some(code) = cyrillic(text)
    {
        return Some(code);
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let told = info.is_reliable() || letters >= CHARS_MIN;
    told.then(|| short(info.lang())).flatten()
}

/// Letters that only one of the languages has; trigrams confuse short Russian with Bulgarian.
fn cyrillic(text: &str) -> Option<&'static str> {
    let text = text.to_lowercase();
    let has = |letters: &[char]| text.contains(letters);
    if has(&['ў']) {
        Some("be")
    } else if has(&['і', 'ї', 'є', 'ґ']) {
        Some("uk")
    } else if has(&['ѓ', 'ќ', 'ѕ']) {
        Some("mk")
    } else if has(&['ђ', 'ј', 'љ', 'њ', 'ћ', 'џ']) {
        Some("sr")
    } else if has(&['ы', 'э', 'ё']) || !has(&['ъ']) {
        Some("ru")
    } else {
        None
    }
}

fn short(lang: Lang) -> Option<&'static str> {
    CODES.iter().find(|(known, _)| *known == lang).map(|(_, short)| *short)
}

/// The languages of business letters; among all that the library knows, short ones drown.
const CODES: &[(Lang, &str)] = &[
    (Lang::Ara, "ar"),
    (Lang::Bel, "be"),
    (Lang::Ben, "bn"),
    (Lang::Bul, "bg"),
    (Lang::Cat, "ca"),
    (Lang::Ces, "cs"),
    (Lang::Cmn, "zh"),
    (Lang::Dan, "da"),
    (Lang::Deu, "de"),
    (Lang::Ell, "el"),
    (Lang::Eng, "en"),
    (Lang::Est, "et"),
    (Lang::Fin, "fi"),
    (Lang::Fra, "fr"),
    (Lang::Heb, "he"),
    (Lang::Hin, "hi"),
    (Lang::Hrv, "hr"),
    (Lang::Hun, "hu"),
    (Lang::Hye, "hy"),
    (Lang::Ind, "id"),
    (Lang::Ita, "it"),
    (Lang::Jpn, "ja"),
    (Lang::Kat, "ka"),
    (Lang::Khm, "km"),
    (Lang::Kor, "ko"),
    (Lang::Lav, "lv"),
    (Lang::Lit, "lt"),
    (Lang::Mkd, "mk"),
    (Lang::Mya, "my"),
    (Lang::Nld, "nl"),
    (Lang::Nob, "nb"),
    (Lang::Pes, "fa"),
    (Lang::Pol, "pl"),
    (Lang::Por, "pt"),
    (Lang::Ron, "ro"),
    (Lang::Rus, "ru"),
    (Lang::Slk, "sk"),
    (Lang::Slv, "sl"),
    (Lang::Spa, "es"),
    (Lang::Srp, "sr"),
    (Lang::Swe, "sv"),
    (Lang::Tam, "ta"),
    (Lang::Tel, "te"),
    (Lang::Tha, "th"),
    (Lang::Tur, "tr"),
    (Lang::Ukr, "uk"),
    (Lang::Urd, "ur"),
    (Lang::Vie, "vi"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_letters_have_a_language() {
        for (text, code) in [
            ("Please send your price list and the delivery time.", "en"),
            ("Bitte senden Sie uns Ihre Preisliste.", "de"),
            ("Veuillez nous envoyer votre liste de prix.", "fr"),
            ("Por favor, envíenos su lista de precios.", "es"),
            ("Здравствуйте! Пришлите, пожалуйста, ваш прайс-лист и условия поставки.", "ru"),
            ("Здравейте, изпратете ми каталога и цените, моля. Търсим дистрибутор.", "bg"),
            ("Надішліть, будь ласка, прайс-лист.", "uk"),
            ("请报价", "zh"),
            ("見積もりをお願いします", "ja"),
            ("견적 부탁드립니다", "ko"),
            ("من فضلك أرسل قائمة الأسعار الخاصة بكم", "ar"),
        ] {
            assert_eq!(of(text), Some(code), "{text}");
        }
        assert_eq!(of(""), None);
        assert_eq!(of("OK"), None);
    }
}
