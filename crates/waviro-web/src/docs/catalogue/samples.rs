//! The document's samples, with digits in place of each `x`, so that a request with a sample
//! succeeds.

use serde_json::{Value, json};

use super::{What, Whom};

/// The phone number of a person.
pub const NUMBER: &str = "6282386000001";

/// The id of a group.
pub const GROUP_ID: &str = "120363000000000001";

/// The URL of a file.
pub const MEDIA_URL: &str = "https://yourdomain/yourmedia.pdf";

/// The URL for callbacks.
pub const NOTIFY_URL: &str = "https://yourdomain/your_notify_url";

/// The id of a message.
pub const MESSAGE_ID: &str = "3EB02B7BEAD27AFA278E";

/// The latitude in decimal degrees.
pub const LATITUDE: &str = "0.525960";

/// The longitude in decimal degrees.
pub const LONGITUDE: &str = "101.426866";

/// The body that a rule's webhook receives.
pub const HOOK: &str = r#"{
    "keyword": "penawaran",
    "data": [
        "Jhon Doe",
        "jhon@example.com"
    ],
    "webhookkey": "WEBHOOK_KEY",
    "from": "6282386000001"
}"#;

/// The webhook reply.
pub const REPLY: &str = r#"{
    "success": true,
    "message": {
        "reply": [
            {
                "type": "message",
                "content": "Webhook Response"
            },
            {
                "type": "location",
                "content": [
                    {
                        "coordinate": "-6.175392-106.827153"
                    }
                ]
            },
            {
                "type": "document",
                "content": "https://yourdomain/your_document_file.pdf"
            }
        ]
    }
}"#;

/// A webhook for a PHP host.
pub const HOOK_IN_PHP: &str = include_str!("../../../templates/docs/webhook.php");

/// The body that a `notifyurl` receives.
pub const CALLBACK: &str = r#"{
    "msgid": "3EB020B4DBA916EB3379",
    "ack": 3
}"#;

/// The body of a refusal.
pub const REFUSAL: &str = r#"{
    "success": false,
    "errorMessage": "Data tidak lengkap: pesan wajib diisi.",
    "code": "missing_field",
    "field": "pesan"
}"#;

pub(super) const GROUPS: &str = r#"{
    "success": true,
    "message": [
        {
            "groupid": "120363000000000001",
            "groupname": "test",
            "grouplastchat": 1678975656
        },
        {
            "groupid": "120364000000000002",
            "groupname": "test 2",
            "grouplastchat": 1678975657
        }
    ]
}"#;

pub(super) const LINKED: &str = r#"{
    "success": true,
    "message": {
        "isAuthenticated": true,
        "number": "628111111111",
        "name": "628111111111",
        "qrcode": ""
    }
}"#;

pub(super) const CODE: &str = r#"{
    "success": true,
    "message": {
        "isAuthenticated": false,
        "qrcode": "2@cuTD5E9F,0S3s8oo08PKOx8PPvlO0/HxOG8jPxEk="
    }
}"#;

pub(super) const REGISTERED: &str = r#"{
    "success": true,
    "message": true
}"#;

/// Returns the value of the field `contact`.
pub(super) fn card() -> Value {
    json!({"name": "Test", "numbers": ["628124000001", "628125000001", "628126000001"]})
}

/// Returns the body of a send path. The JSON is formatted by hand to keep the order of fields in
/// the document.
pub(super) fn body(whom: Whom, what: What) -> String {
    let to = match whom {
        Whom::Person => format!(r#""nohp": "{NUMBER}""#),
        Whom::Group => format!(r#""groupid": "{GROUP_ID}""#),
    };
    let content = match what {
        What::Text => r#""pesan": "Test kirim text""#.to_owned(),
        What::Media => {
            format!("\"pesan\": \"Test kirim text\",\n    \"mediaurl\": \"{MEDIA_URL}\"")
        }
        What::Location => format!(
            "\"latitude\": \"{LATITUDE}\",\n    \"longitude\": \"{LONGITUDE}\",\n    \"pesan\": \"Kantor Pusat\""
        ),
        What::Contact => r#""contact": {
        "name": "Test",
        "numbers": [
            "628124000001",
            "628125000001",
            "628126000001"
        ]
    }"#
        .to_owned(),
    };
    format!("{{\n    {to},\n    {content},\n    \"notifyurl\": \"{NOTIFY_URL}\"\n}}")
}

/// Returns the response of a send path.
pub(super) fn sent(whom: Whom, what: What) -> String {
    let to = match whom {
        Whom::Person => format!("{NUMBER}@c.us"),
        Whom::Group => format!("{GROUP_ID}@g.us"),
    };
    let kind = match (what, whom) {
        (What::Text, Whom::Person) => "text",
        (What::Text, Whom::Group) | (What::Location, _) => "chat",
        (What::Media, _) => "document",
        (What::Contact, _) => "vcard",
    };
    format!(
        r#"{{
    "success": true,
    "message": {{
        "id": "{MESSAGE_ID}",
        "status": 0,
        "type": "{kind}",
        "timestamp": 1678849330,
        "from": "628111111111@c.us",
        "to": "{to}"
    }}
}}"#
    )
}
