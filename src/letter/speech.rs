//! Which language a text is in, where a library can tell reliably.
//!
//! whatlang was tried on short trade letters: it is sure of itself only where it is right, and says
//! nothing about the rest; a template may still switch the comparison off (DESIGN §1 I5).

use crate::book::language;

/// Letters of a text below which nothing is said: a greeting is no language.
const LETTERS_MIN: usize = 60;

/// The language of a text as an ISO 639-1 code; `None` where it cannot be told reliably.
#[must_use]
pub fn language(text: &str) -> Option<&'static str> {
    if text.chars().filter(|c| c.is_alphabetic()).count() < LETTERS_MIN {
        return None;
    }
    let found = whatlang::detect(text)?;
    if !found.is_reliable() {
        return None;
    }
    match found.lang() {
        whatlang::Lang::Cmn => Some("zh"),
        lang => language::code(lang.eng_name()),
    }
}

/// A template's text without its holes: what stands between `{{ }}`, `{% %}` and `{# #}` goes, and
/// addresses of pages.
#[must_use]
pub fn without_holes(source: &str) -> String {
    let mut kept = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('{') {
        let (before, hole) = rest.split_at(at);
        kept.push_str(before);
        let end =
            ["{{", "{%", "{#"].into_iter().zip(["}}", "%}", "#}"]).find_map(|(open, close)| {
                hole.starts_with(open).then(|| hole.find(close).map(|end| end + close.len()))?
            });
        let skip = end.unwrap_or(1);
        kept.push(' ');
        rest = hole.get(skip..).unwrap_or_default();
    }
    kept.push_str(rest);
    let words = kept.split_whitespace().filter(|word| !word.contains("://"));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_letters_are_told_apart() {
        let cases = [
            (
                "en",
                "Dear Sir, we make track rollers and idlers for crawler excavators and are looking for a dealer. May I send you our price list?",
            ),
            (
                "fr",
                "Bonjour, nous fabriquons des galets et des roues folles pour pelles sur chenilles. Puis-je vous envoyer notre tarif ?",
            ),
            (
                "de",
                "Guten Tag, wir fertigen Laufrollen und Leiträder für Raupenbagger und suchen einen Händler. Darf ich Ihnen unsere Preisliste senden?",
            ),
            (
                "es",
                "Buenos días, fabricamos rodillos y ruedas guía para excavadoras de orugas. ¿Puedo enviarle nuestra lista de precios?",
            ),
            (
                "ru",
                "Здравствуйте, мы производим опорные катки для гусеничных экскаваторов и ищем дилера. Можно выслать вам наш прайс-лист?",
            ),
            (
                "ja",
                "拝啓、弊社は油圧ショベル用の足回り部品を製造しております。価格表をお送りしてもよろしいでしょうか。販売店を探しております。どうぞよろしくお願いいたします。",
            ),
            (
                "ar",
                "السلام عليكم، نحن نصنع بكرات الجنزير للحفارات ونبحث عن موزع في بلدكم. هل يمكنني أن أرسل لكم قائمة الأسعار الخاصة بنا؟",
            ),
        ];
        let mut sure = 0;
        for (code, text) in cases {
            let found = language(text);
            assert!(found.is_none_or(|found| found == code), "{text}: {found:?}");
            sure += usize::from(found.is_some());
        }
        assert!(sure >= 5, "too seldom sure: {sure} of {}", cases.len());
        assert_eq!(language("OK, thanks"), None);
    }

    #[test]
    fn holes_are_left_out() {
        let text =
            "Dear {{ name or 'x' }}, {% if a %}we{% endif %} {# no #}write https://x.example/u";
        assert_eq!(without_holes(text), "Dear , we write");
    }
}
