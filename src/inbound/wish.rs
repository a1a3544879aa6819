//! The wish to be left alone, as people write it in a reply.
//!
//! Only a short line at the very beginning counts, so that nobody is taken off the list for quoting
//! us or for asking how it works.

/// Lines that are looked at.
const LINES_MAX: usize = 3;
/// A wish is short (characters).
const LINE_CHARS_MAX: usize = 120;

/// The words by which a reply asks to be left alone; `own` is the writer's own text.
#[must_use]
pub fn read(subject: &str, own: &str) -> Option<&'static str> {
    let subject = subject.trim().to_lowercase();
    if let Some(word) = BARE.iter().find(|word| subject == **word) {
        return Some(word);
    }
    let lines = own.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in lines.take(LINES_MAX) {
        let lower = line.to_lowercase().replace('’', "'");
        if lower.chars().count() > LINE_CHARS_MAX {
            return None;
        }
        let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
        if let Some(word) = BARE.iter().find(|word| bare == **word) {
            return Some(word);
        }
        let asks = lower.contains(['?', '？', '؟']);
        let found = PHRASES.iter().find(|phrase| lower.contains(**phrase));
        if let Some(phrase) = found.filter(|_| !asks || is_request(&lower))
            && !is_denied(&lower, phrase)
        {
            return Some(phrase);
        }
    }
    None
}

/// A question that is a request: `Could you please remove me?`
fn is_request(line: &str) -> bool {
    [
        "could you",
        "can you",
        "would you",
        "please",
        "pourriez",
        "podría",
        "können sie",
        "bitte",
        "请",
    ]
    .iter()
    .any(|word| line.contains(word))
        && !["how ", "why ", "what ", "if ", "when "].iter().any(|word| line.starts_with(word))
}

/// `please don't unsubscribe me`.
fn is_denied(line: &str, phrase: &str) -> bool {
    let before = line.split(phrase).next().unwrap_or_default().trim_end();
    [
        "don't", "do not", "not", "never", "nicht", "ne pas", "no me", "no", "не", "不要", "别",
        "请勿",
    ]
    .iter()
    .any(|word| before.ends_with(word))
}

/// A whole line, or the subject.
const BARE: &[&str] = &[
    "unsubscribe",
    "unsubscribe me",
    "stop",
    "stop it",
    "remove",
    "remove me",
    "opt out",
    "opt-out",
    "optout",
    "take me off",
    "no more",
    "no more emails",
    "not interested, remove",
    "退订",
    "退訂",
    "取消订阅",
    "取消訂閱",
    "td",
    "t",
    "拒收",
    "别发了",
    "不要再发了",
    "abmelden",
    "austragen",
    "abbestellen",
    "désabonner",
    "désabonnement",
    "desabonner",
    "désinscription",
    "désinscrire",
    "stop svp",
    "baja",
    "dar de baja",
    "darme de baja",
    "cancelar suscripción",
    "cancellami",
    "disiscrivimi",
    "disiscrizione",
    "cancellazione",
    "cancelar",
    "descadastrar",
    "remover",
    "sair",
    "afmelden",
    "uitschrijven",
    "avregistrera",
    "avprenumerera",
    "afmeld",
    "frameld",
    "meld av",
    "avmeld",
    "peruuta tilaus",
    "poista",
    "wypisz",
    "wypisz mnie",
    "rezygnuję",
    "odhlásit",
    "odhlásiť",
    "leiratkozás",
    "leiratkozom",
    "dezabonare",
    "отписаться",
    "отписка",
    "отпишите",
    "відписатися",
    "отписване",
    "çık",
    "abonelikten çık",
    "إلغاء الاشتراك",
    "לא מעוניין",
    "הסר",
    "配信停止",
    "購読解除",
    "수신거부",
    "수신 거부",
    "구독취소",
    "hủy đăng ký",
    "berhenti",
    "ยกเลิก",
    "διαγραφή",
    "odjava",
];

/// Within a short line.
const PHRASES: &[&str] = &[
    "unsubscribe",
    "remove me",
    "remove us",
    "remove my",
    "remove this address",
    "take me off",
    "take us off",
    "delete my email",
    "delete my address",
    "opt me out",
    "stop sending",
    "stop emailing",
    "stop mailing",
    "stop writing",
    "stop contacting",
    "stop these",
    "don't email me",
    "do not email me",
    "don't send me",
    "do not send me",
    "don't contact",
    "do not contact",
    "don't write to me",
    "no more emails",
    "off your list",
    "off your mailing",
    "from your list",
    "from your mailing",
    "退订",
    "退訂",
    "取消订阅",
    "取消訂閱",
    "不要再发",
    "别再发",
    "不要再發",
    "请勿再发",
    "停止发送",
    "从列表中删除",
    "移除我",
    "删除我的邮箱",
    "abmelden",
    "austragen",
    "aus ihrem verteiler",
    "aus dem verteiler",
    "keine weiteren e-mails",
    "keine weiteren mails",
    "keine mails mehr",
    "keine werbung mehr",
    "newsletter abbestellen",
    "nicht mehr anschreiben",
    "nicht mehr kontaktieren",
    "désabonner",
    "désinscrire",
    "desabonner",
    "me retirer",
    "retirez-moi",
    "ne plus recevoir",
    "ne plus m'envoyer",
    "ne m'envoyez plus",
    "supprimer mon adresse",
    "de votre liste",
    "dar de baja",
    "darme de baja",
    "dame de baja",
    "denme de baja",
    "no quiero recibir",
    "no deseo recibir",
    "no me envíen",
    "dejen de enviar",
    "de su lista",
    "cancelar la suscripción",
    "disiscriv",
    "cancellatemi",
    "cancellarmi",
    "non inviatemi",
    "non desidero ricevere",
    "non voglio ricevere",
    "dalla vostra lista",
    "descadastr",
    "remova meu",
    "remover meu",
    "retire meu",
    "não quero receber",
    "não desejo receber",
    "da sua lista",
    "parem de enviar",
    "uitschrijven",
    "afmelden",
    "niet meer mailen",
    "geen mails meer",
    "geen e-mails meer",
    "avregistrera",
    "avsluta prenumeration",
    "ta bort mig",
    "inga fler mail",
    "afmeld mig",
    "fjern mig",
    "slet mig",
    "meld meg av",
    "fjern meg",
    "peruuta tilaus",
    "poistakaa",
    "poista minut",
    "älkää lähettäkö",
    "wypisz",
    "proszę o usunięcie",
    "nie wysyłać",
    "usunąć mój",
    "odhlásit",
    "odhlaste",
    "neposílejte",
    "leiratkoz",
    "ne küldjenek",
    "töröljenek",
    "dezabon",
    "ștergeți",
    "nu mai trimiteți",
    "отпишите",
    "отписать",
    "удалите меня",
    "удалите мой",
    "не присылайте",
    "больше не пишите",
    "відпишіть",
    "видаліть мене",
    "не надсилайте",
    "отпишете",
    "не изпращайте",
    "abonelikten çık",
    "listenizden çıkar",
    "mail göndermeyin",
    "e-posta göndermeyin",
    "إلغاء الاشتراك",
    "ألغوا اشتراكي",
    "لا ترسلوا",
    "إزالة بريدي",
    "הסירו אותי",
    "להסיר אותי",
    "配信停止",
    "配信を停止",
    "購読を解除",
    "送らないで",
    "送信しないで",
    "수신거부",
    "수신 거부",
    "보내지 마",
    "구독 취소",
    "hủy đăng ký",
    "đừng gửi",
    "berhenti berlangganan",
    "jangan kirim",
    "ยกเลิกการรับ",
    "ยกเลิกสมัคร",
    "διαγράψτε",
    "μην στέλνετε",
    "odjavite",
    "ne šaljite",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_heard_and_a_mention_is_not() {
        for own in [
            "unsubscribe",
            "Please remove me from your list.",
            "STOP",
            "Hello,\nplease take me off. Thanks",
            "Could you please unsubscribe me?",
            "don't email me again",
            "退订",
            "请不要再发邮件给我",
            "TD",
            "Bitte streichen Sie mich aus dem Verteiler",
            "Merci de me désabonner",
            "Por favor, quiero darme de baja",
            "Vi prego di cancellarmi",
            "Não quero receber mais e-mails",
            "Graag uitschrijven",
            "Ta bort mig från listan",
            "Proszę o usunięcie z bazy",
            "Отпишите меня, пожалуйста",
            "Lütfen listenizden çıkarın",
            "配信停止をお願いします",
            "수신거부",
            "الرجاء إلغاء الاشتراك",
            "Prosím odhlásit",
        ] {
            assert!(read("Re: offer", own).is_some(), "{own}");
        }
        for own in [
            "Please send your price list.",
            "How do your customers unsubscribe?",
            "Please don't unsubscribe me, I am interested",
            "We never stop working.",
            "Stop by our booth at the fair!",
            "我们对产品感兴趣，请报价",
            "",
            "Can you offer 20 pieces?\n\nregards\nAnn\nunsubscribe handling department",
        ] {
            assert_eq!(read("Re: offer", own), None, "{own}");
        }
        assert_eq!(read("Unsubscribe", ""), Some("unsubscribe"));
    }
}
