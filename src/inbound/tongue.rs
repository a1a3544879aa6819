//! The language of a short letter, as an ISO 639-1 code.

use whatlang::{Lang, Script, detect};

/// Letters below this are told by their script alone: guesses at a greeting are noise.
const CHARS_MIN: usize = 24;

/// The language of a text, when it can be told.
#[must_use]
pub fn of(text: &str) -> Option<&'static str> {
    let info = detect(text)?;
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
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let told = info.is_reliable() || (letters >= CHARS_MIN && info.confidence() > 0.2);
    told.then(|| short(info.lang())).flatten()
}

/// ISO 639-3 to ISO 639-1.
fn short(lang: Lang) -> Option<&'static str> {
    CODES.iter().find(|(code, _)| *code == lang.code()).map(|(_, short)| *short)
}

const CODES: &[(&str, &str)] = &[
    ("afr", "af"), ("aka", "ak"), ("amh", "am"), ("ara", "ar"), ("aze", "az"), ("bel", "be"),
    ("ben", "bn"), ("bul", "bg"), ("cat", "ca"), ("ces", "cs"), ("cmn", "zh"), ("cym", "cy"),
    ("dan", "da"), ("deu", "de"), ("ell", "el"), ("eng", "en"), ("epo", "eo"), ("est", "et"),
    ("fin", "fi"), ("fra", "fr"), ("guj", "gu"), ("heb", "he"), ("hin", "hi"), ("hrv", "hr"),
    ("hun", "hu"), ("hye", "hy"), ("ind", "id"), ("ita", "it"), ("jav", "jv"), ("jpn", "ja"),
    ("kan", "kn"), ("kat", "ka"), ("khm", "km"), ("kor", "ko"), ("lat", "la"), ("lav", "lv"),
    ("lit", "lt"), ("mal", "ml"), ("mar", "mr"), ("mkd", "mk"), ("mya", "my"), ("nep", "ne"),
    ("nld", "nl"), ("nob", "nb"), ("ori", "or"), ("pan", "pa"), ("pes", "fa"), ("pol", "pl"),
    ("por", "pt"), ("ron", "ro"), ("rus", "ru"), ("sin", "si"), ("slk", "sk"), ("slv", "sl"),
    ("sna", "sn"), ("spa", "es"), ("srp", "sr"), ("swe", "sv"), ("tam", "ta"), ("tel", "te"),
    ("tgl", "tl"), ("tha", "th"), ("tuk", "tk"), ("tur", "tr"), ("ukr", "uk"), ("urd", "ur"),
    ("uzb", "uz"), ("vie", "vi"), ("yid", "yi"), ("zul", "zu"),
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
            ("Пожалуйста, пришлите прайс-лист.", "ru"),
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
