//! The exports of other programs, as they write them, read without a map.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sandbox::{Ran, Sandbox};

/// Columns of an export of Exchange.
const RECIPIENTS: [&str; 14] = [
    "Guid",
    "ExternalDirectoryObjectId",
    "DisplayName",
    "PrimarySmtpAddress",
    "EmailAddresses",
    "RecipientType",
    "RecipientTypeDetails",
    "HiddenFromAddressListsEnabled",
    "FirstName",
    "LastName",
    "Title",
    "Department",
    "Phone",
    "OrganizationalUnit",
];

/// Rows as Export-Csv writes them: everything in quotes, ended by CR and LF.
fn export_csv(headers: &[&str], rows: &[&[&str]]) -> String {
    let line = |fields: &[&str]| {
        let fields: Vec<String> =
            fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
        fields.join(",") + "\r\n"
    };
    rows.iter().fold(line(headers), |text, row| text + &line(row))
}

/// A directory server that has read a file.
struct Read {
    sandbox: Sandbox,
    import: Ran,
}

impl Read {
    fn of(content: impl AsRef<[u8]>, options: &str) -> Self {
        let sandbox = Sandbox::new();
        sandbox.run("-C hq init NORTH/HQ --server").expect(0);
        std::fs::write(sandbox.path("file.csv"), content).unwrap();
        let import = sandbox.run(&format!("-C hq import file.csv --whole --json {options}"));
        sandbox.run("-C hq cycle").expect(0);
        Self { sandbox, import }
    }

    /// The entries by their names.
    fn entries(&self) -> BTreeMap<String, Value> {
        let list = self.sandbox.run("-C hq entry list --json").expect(0).json();
        let entries = list.as_array().unwrap().iter();
        entries.map(|entry| (entry["name"].as_str().unwrap().to_owned(), entry.clone())).collect()
    }

    fn entry(&self, name: &str) -> Value {
        let entries = self.entries();
        entries.get(name).unwrap_or_else(|| panic!("no {name} in {entries:?}")).clone()
    }

    /// The counts of rows that were left out, by reason.
    fn left_out(&self) -> Vec<(String, u64)> {
        let document = self.import.json();
        let left = document["left_out_by_map"].as_array().unwrap().iter();
        left.map(|left| {
            (left["reason"].as_str().unwrap().to_owned(), left["rows"].as_u64().unwrap())
        })
        .collect()
    }

    fn map(&self) -> Value {
        self.import.json()["map"].clone()
    }
}

fn counts(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
    counts.iter().map(|(reason, rows)| ((*reason).to_owned(), *rows)).collect()
}

/// A whole entry in one line, for comparisons.
fn shown(entry: &Value) -> String {
    let list = |value: &Value| -> String {
        let texts = value.as_array().unwrap().iter();
        texts.map(|text| text.as_str().unwrap()).collect::<Vec<_>>().join(" ")
    };
    let details = entry["details"].as_object().unwrap().iter();
    let details: Vec<String> =
        details.map(|(name, values)| format!("{name}={}", list(values))).collect();
    let text = |name: &str| entry[name].as_str().unwrap();
    format!(
        "{} {} [{}] {}",
        text("key"),
        text("kind"),
        list(&entry["addresses"]),
        details.join(",")
    )
}

const ANA_GUID: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

#[test]
fn recipients_of_exchange_are_read_with_all_their_addresses() {
    let ana = [
        ANA_GUID,
        "11111111-2222-3333-4444-555555555555",
        "Ana Souza",
        "ana@north.example",
        "smtp:a.souza@north.example SMTP:ana@north.example X500:/o=North/ou=Exchange Group (FY)/cn=ana,SIP:ana@north.example;EUM:4711;phone-context=x",
        "UserMailbox",
        "UserMailbox",
        "False",
        "Ana",
        "Souza",
        "Pilot",
        "Navigation",
        "+49 30 1",
        "north.example/Staff",
    ];
    let row = |guid, name, mail, kind, details, hidden| {
        [guid, "", name, mail, "", kind, details, hidden, "", "", "", "", "", ""]
    };
    let rows: [[&str; 14]; 8] = [
        ana,
        row("b1", "Bridge", "bridge@north.example", "UserMailbox", "RoomMailbox", "False"),
        row("c1", "Crane", "crane@north.example", "UserMailbox", "EquipmentMailbox", "False"),
        row(
            "d1",
            "Crew",
            "crew@north.example",
            "MailUniversalDistributionGroup",
            "MailUniversalDistributionGroup",
            "False",
        ),
        row("e1", "Eve", "eve@partner.example", "MailContact", "MailContact", "False"),
        row("f1", "Fay", "fay@north.example", "UserMailbox", "SharedMailbox", "True"),
        row("g1", "Discovery", "disc@north.example", "UserMailbox", "DiscoveryMailbox", "False"),
        row("h1", "Guest", "guest@partner.example", "MailUser", "GuestMailUser", "False"),
    ];
    let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
    let plain = export_csv(&RECIPIENTS, &rows);
    let typed = format!(
        "#TYPE Selected.Microsoft.Exchange.Data.Directory.Management.ReducedRecipient\r\n{plain}"
    );
    for content in [plain, typed] {
        let read = Read::of(content, "");
        assert_eq!(read.map(), "exchange", "{}", read.import.out);
        assert_eq!(read.left_out(), counts(&[("hidden", 1), ("system mailboxes", 1)]));
        assert_eq!(
            shown(&read.entry("Ana Souza")),
            format!(
                "{ANA_GUID} mailbox [SMTP:ana@north.example SMTP:a.souza@north.example \
                 X500:/o=North/ou=Exchange Group (FY)/cn=ana SIP:ana@north.example \
                 EUM:4711;phone-context=x] department=Navigation,givenName=Ana,sn=Souza,telephoneNumber=+49 30 1,title=Pilot"
            )
        );
        let kinds: Vec<String> = read
            .entries()
            .values()
            .map(|entry| format!("{}: {}", entry["name"], entry["kind"]).replace('"', ""))
            .collect();
        let expected = [
            "Ana Souza: mailbox",
            "Bridge: resource",
            "Crane: resource",
            "Crew: list",
            "Eve: contact",
            "Guest: contact",
        ];
        assert_eq!(kinds, expected);
    }
}

#[test]
fn addresses_of_exchange_are_split_at_any_separator() {
    for list in [
        "SMTP:ana@north.example smtp:b@north.example",
        "smtp:b@north.example,SMTP:ana@north.example",
        "smtp:b@north.example, SMTP:ana@north.example",
        "SMTP:ana@north.example;smtp:b@north.example",
        "{smtp:b@north.example, SMTP:ana@north.example}",
        "SMTP:ana@north.example\nb@north.example",
    ] {
        let content = export_csv(
            &["Name", "RecipientType", "EmailAddresses", "ExternalDirectoryObjectId"],
            &[&["Ana", "UserMailbox", list, "11111111-2222-3333-4444-555555555555"]],
        );
        let read = Read::of(content, "");
        assert_eq!(
            shown(&read.entry("Ana")),
            "11111111-2222-3333-4444-555555555555 mailbox [SMTP:ana@north.example SMTP:b@north.example] ",
            "{list}"
        );
    }
}

#[test]
fn a_collection_that_was_not_joined_is_an_error_with_the_line_that_joins_it() {
    let mut ana = ["x"; 14];
    ana[4] = "Microsoft.Exchange.Data.ProxyAddressCollection";
    let sandbox = Sandbox::new();
    sandbox.run("-C hq init NORTH/HQ --server").expect(0);
    sandbox.write("file.csv", &export_csv(&RECIPIENTS, &[&ana]));
    let run = sandbox.run("-C hq import file.csv --whole").expect(1);
    for part in
        ["line 2", "\"EmailAddresses\"", "@{n='EmailAddresses';e={$_.EmailAddresses -join ';'}}"]
    {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    assert!(run.out.starts_with("read by the built-in map exchange\n0 rows"), "{}", run.out);
    let unused = export_csv(
        &["Name", "mail", "Parameters"],
        &[&["Ana", "a@north.example", "System.Object[]"]],
    );
    sandbox.write("file.csv", &unused);
    sandbox.run("-C hq import file.csv").expect(0);
}

#[test]
fn a_name_is_enough_where_the_columns_are_too_few() {
    let content = export_csv(
        &["Guid", "DisplayName", "PrimarySmtpAddress"],
        &[&[ANA_GUID, "Ana", "ana@north.example"]],
    );
    let read = Read::of(&content, "--format exchange");
    assert_eq!(shown(&read.entry("Ana")), format!("{ANA_GUID} mailbox [SMTP:ana@north.example] "));
    let sandbox = read.sandbox;
    let wrong = sandbox.run("-C hq import file.csv --format exchnge").expect(2);
    assert!(wrong.err.contains("did you mean \"exchange\"?"), "{}", wrong.err);
    sandbox.write(
        "hq/dirsync.toml",
        "[[source]]\nname = \"ad\"\nfile = \"../file.csv\"\nformat = \"exchange\"\nwhole = true\n",
    );
    let cycle = sandbox.run("-C hq cycle --json").expect(0).json();
    assert_eq!(cycle["T0"][0]["counts"]["rows"], 1, "{cycle}");
    sandbox.write(
        "hq/dirsync.toml",
        "[[source]]\nname = \"ad\"\nfile = \"../file.csv\"\nformat = \"exchange\"\n[source.map]\nkey = \"{a}\"\nname = \"{a}\"\naddress = \"{a}\"\n",
    );
    let twice = sandbox.run("-C hq config check").expect(2);
    assert!(twice.err.contains("this source has two maps"), "{}{}", twice.out, twice.err);
}

/// The columns of the admin center; the file is UTF-8 with a mark.
#[test]
fn users_of_the_microsoft_365_admin_center_are_read() {
    let headers = "Block credential,City,Country/Region,Department,DirSyncEnabled,Display name,Fax,First name,Last dirsync time,Last name,Last password change time stamp,License assignment details,Licenses,Mobile Phone,Oath token meta data,Object Id,Office,Password never expires,Phone number,Postal code,Preferred data location,Preferred language,Proxy addresses,Release track,Soft deletion time stamp,State,Street address,Strong password required,Title,Usage location,User principal name,When created";
    let row = |blocked: &str, name: &str, licences: &str, id: &str, proxies: &str, upn: &str| {
        format!(
            "{blocked},Kiel,Germany,Navigation,,{name},,Ana,,Souza,,,{licences},0171,,{id},Room 1,False,\
             030 1,24103,,,{proxies},,,,Quay 1,True,Pilot,DE,{upn},2024-01-01\r\n"
        )
    };
    let content = format!(
        "\u{feff}{headers}\r\n{}{}{}{}{}",
        row(
            "False",
            "Ana Souza",
            "Microsoft 365 E3",
            ANA_GUID,
            "smtp:a.s@north.example+SMTP:ana@north.example",
            "asouza@north.example"
        ),
        row("False", "Ben", "Microsoft 365 E3", "b", "", "ben@north.example"),
        row("True", "Cy", "Microsoft 365 E3", "c", "", "cy@north.example"),
        row("False", "Di", "Unlicensed", "d", "", "di@north.example"),
        row(
            "False",
            "Eve",
            "Microsoft 365 E3",
            "e",
            "",
            "eve_partner.example#EXT#@north.onmicrosoft.com"
        ),
    );
    let read = Read::of(content, "");
    assert_eq!(read.map(), "microsoft365");
    assert_eq!(read.left_out(), counts(&[("blocked", 1), ("guests", 1), ("without a licence", 1)]));
    assert_eq!(
        shown(&read.entry("Ana Souza")),
        format!(
            "{ANA_GUID} mailbox [SMTP:ana@north.example SMTP:a.s@north.example SMTP:asouza@north.example] \
             co=Germany,department=Navigation,givenName=Ana,l=Kiel,mobile=0171,physicalDeliveryOfficeName=Room 1,\
             postalCode=24103,sn=Souza,street=Quay 1,telephoneNumber=030 1,title=Pilot"
        )
    );
    assert_eq!(read.entry("Ben")["addresses"], serde_json::json!(["SMTP:ben@north.example"]));
    assert_eq!(read.entries().len(), 2);
}

#[test]
fn users_of_entra_are_read_by_their_old_and_new_columns() {
    let new = "userPrincipalName,displayName,surname,mail,givenName,id,userType,jobTitle,department,accountEnabled,usageLocation,streetAddress,state,country,officeLocation,city,postalCode,telephoneNumber,mobilePhone,alternateEmailAddress,ageGroup,consentProvidedForMinor,legalAgeGroupClassification,companyName,creationType,directorySynced,invitationState,identityIssuer,createdDateTime";
    let old = "userPrincipalName,displayName,surname,mail,givenName,objectId,userType,jobTitle,department,accountEnabled,usageLocation,streetAddress,state,country,physicalDeliveryOfficeName,city,postalCode,telephoneNumber,mobile,authenticationPhoneNumber,authenticationAlternativePhoneNumber,authenticationEmail,alternateEmailAddress,ageGroup,consentProvidedForMinor,legalAgeGroupClassification";
    for headers in [new, old] {
        let row = |upn: &str, name: &str, mail: &str, id: &str, kind: &str, enabled: &str| {
            let row = format!(
                "{upn},{name},Souza,{mail},Ana,{id},{kind},Pilot,Navigation,{enabled},DE,Quay 1,,Germany,Room 1,Kiel,24103,030 1,0171"
            );
            let missing = headers.split(',').count() - row.split(',').count();
            row + &",".repeat(missing) + "\r\n"
        };
        let content = format!(
            "{headers}\r\n{}{}{}{}",
            row("ana@north.example", "Ana Souza", "Ana@north.example", ANA_GUID, "Member", "True"),
            row("eve#EXT#@x", "Eve", "eve@partner.example", "e", "Guest", "True"),
            row("gone@north.example", "Gone", "gone@north.example", "g", "Member", "False"),
            row("svc@north.example", "Service", "", "s", "Member", "True"),
        );
        let read = Read::of(content, "");
        assert_eq!(read.map(), "entra");
        assert_eq!(read.left_out(), counts(&[("blocked", 1), ("guests", 1)]));
        assert_eq!(
            shown(&read.entry("Ana Souza")),
            format!(
                "{ANA_GUID} mailbox [SMTP:Ana@north.example] co=Germany,department=Navigation,givenName=Ana,\
                 l=Kiel,mobile=0171,physicalDeliveryOfficeName=Room 1,postalCode=24103,sn=Souza,\
                 street=Quay 1,telephoneNumber=030 1,title=Pilot"
            )
        );
        assert_eq!(read.entries().len(), 1, "who has no address is no entry");
        read.import.expect(0);
    }
}

#[test]
fn users_of_google_workspace_are_read() {
    let headers = "First Name [Required],Last Name [Required],Email Address [Required],Password [Required],Password Hash Function [UPLOAD ONLY],Org Unit Path [Required],New Primary Email [UPLOAD ONLY],Status [READ ONLY],Last Sign In [READ ONLY],Recovery Email,Home Secondary Email,Work Secondary Email,Recovery Phone [MUST BE IN THE E.164 FORMAT],Work Phone,Home Phone,Mobile Phone,Work Address,Home Address,Employee ID,Employee Type,Employee Title,Manager Email,Department,Cost Center,Building ID,Floor Name,Floor Section,Licenses [READ ONLY]";
    let row = |first: &str, mail: &str, status: &str, licence: &str| {
        format!(
            "{first},Souza,{mail},****,,/Staff/Navigation,,{status},2024/01/01 10:00:00,r@private.example,,second-{mail},,030 1,,0171,,,4711,,Pilot,,Navigation,,,2,,{licence}\n"
        )
    };
    let content = format!(
        "{headers}\n{}{}{}",
        row("Ana", "ana@north.example", "Active", "Google Workspace Business"),
        row("Sue", "sue@north.example", "Suspended", "Google Workspace Business"),
        row("Una", "una@north.example", "Active", ""),
    );
    let read = Read::of(content, "");
    assert_eq!(read.map(), "google-workspace");
    assert_eq!(read.left_out(), counts(&[("suspended", 1), ("without a licence", 1)]));
    assert_eq!(
        shown(&read.entry("Ana Souza")),
        "ana@north.example mailbox [SMTP:ana@north.example SMTP:second-ana@north.example] \
         department=Navigation,employeeNumber=4711,givenName=Ana,mobile=0171,ou=Staff/Navigation,\
         physicalDeliveryOfficeName=2,sn=Souza,telephoneNumber=030 1,title=Pilot"
    );
    let short = "First Name [Required],Last Name [Required],Email Address [Required],Org Unit Path [Required]\n\
                 Ana,Souza,ana@north.example,/\n";
    let read = Read::of(short, "");
    assert_eq!(read.left_out(), [], "a file without licences says nothing of them");
    assert_eq!(read.entries().len(), 1);
}

/// Headers in the order of the fields that the test fills: first, middle and last name, company, title,
/// department, street, city, postal code, country, phone, mobile, address, its type, second address.
const OUTLOOK: [(&str, &str); 7] = [
    (
        "outlook",
        "First Name,Middle Name,Last Name,Company,Job Title,Department,Business Street,Business City,Business Postal Code,Business Country/Region,Business Phone,Mobile Phone,E-mail Address,E-mail Type,E-mail 2 Address,Title",
    ),
    (
        "outlook-de",
        "Vorname,Weitere Vornamen,Nachname,Firma,Position,Abteilung,Straße geschäftlich,Ort geschäftlich,Postleitzahl geschäftlich,Land/Region geschäftlich,Telefon geschäftlich,Mobiltelefon,E-Mail-Adresse,E-Mail-Typ,E-Mail 2: Adresse,Anrede",
    ),
    (
        "outlook-fr",
        "Prénom,Deuxième prénom,Nom,Société,Titre,Service,Rue (bureau),Ville (bureau),Code postal (bureau),Pays/Région (bureau),Téléphone (bureau),Tél. mobile,Adresse de messagerie,Type de messagerie,Adresse de messagerie 2,Suffixe",
    ),
    (
        "outlook-es",
        "Nombre,Segundo nombre,Apellidos,Organización,Puesto,Departamento,Calle del trabajo,Ciudad de trabajo,Código postal del trabajo,País o región del trabajo,Teléfono del trabajo,Teléfono movil,Dirección de correo electrónico,Tipo de correo electrónico,Dirección de correo electrónico 2,Title",
    ),
    (
        "outlook-it",
        "Nome,Secondo nome,Cognome,Società,Posizione,Reparto,Via (uff.),Città (uff.),CAP (uff.),Paese (uff.),Ufficio,Cellulare,Indirizzo posta elettronica,Tipo posta elettronica,Indirizzo posta elettronica 2,Titolo",
    ),
    (
        "outlook-pt",
        "Primeiro nome,Outros nomes/apelidos,Apelido,Empresa,Cargo,Departamento,Rua da empresa,Localidade da empresa,Código postal da empresa,País/Região da Empresa,Telefone da empresa,Telemóvel,Endereço de correio electrónico,Tipo de correio electrónico,Endereço do correio electrónico 2,Título",
    ),
    (
        "outlook-pt-br",
        "Primeiro nome,Segundo nome,Sobrenome,Empresa,Cargo,Departamento,Business Street,Business City,Business Postal Code,País/Região da Empresa,Telefone comercial,Telefone celular,E-mail Address,Tipo de email,Endereço de email 2,Tratamento",
    ),
];

#[test]
fn contacts_of_outlook_are_read_in_their_languages_and_their_encoding() {
    for (map, headers) in OUTLOOK {
        let headers: Vec<&str> = headers.split(',').collect();
        let ana = [
            "Ana",
            "",
            "Müller",
            "Nord",
            "Lotsin",
            "See",
            "Kai 1",
            "Kiel",
            "24103",
            "D",
            "030 1",
            "0171",
            "ana@north.example",
            "SMTP",
            "a2@north.example",
            "Dr.",
        ];
        let mut old = ana;
        (old[0], old[12], old[13], old[14]) = ("Bo", "/o=North/cn=bo", "EX", "bo@north.example");
        let mut none = ana;
        (none[12], none[14]) = ("", "");
        let text = export_csv(&headers, &[&ana, &old, &none]);
        // All these languages have the encoding of Western Windows, in which a letter is one byte.
        let windows: Vec<u8> =
            text.chars().map(|letter| u8::try_from(letter as u32).unwrap()).collect();
        for (content, options, says) in [
            (text.into_bytes(), "", false),
            (windows.clone(), "--encoding windows-1252", false),
            (windows, "", true),
        ] {
            let read = Read::of(content, options);
            let detected = read.import.out.contains("encoding: windows-1252, which is usual");
            assert_eq!(detected, says, "{map}: {}", read.import.out);
            assert_eq!(read.map(), map, "{}{}", read.import.out, read.import.err);
            assert_eq!(
                shown(&read.entry("Ana Müller")),
                "ana@north.example mailbox [SMTP:ana@north.example SMTP:a2@north.example] co=D,company=Nord,\
                 department=See,givenName=Ana,l=Kiel,mobile=0171,postalCode=24103,sn=Müller,street=Kai 1,\
                 telephoneNumber=030 1,title=Lotsin",
                "{map}"
            );
            let addresses = &read.entry("Bo Müller")["addresses"];
            let both = serde_json::json!(["SMTP:bo@north.example", "X500:/o=North/cn=bo"]);
            assert_eq!(addresses, &both, "{map}: what Outlook calls EX");
            assert_eq!(read.entries().len(), 2, "{map}: a contact without an address is no entry");
        }
    }
}

#[test]
fn contacts_of_the_new_outlook_are_read() {
    let headers = "First Name,Middle Name,Last Name,Title,Suffix,Nickname,Given Yomi,Surname Yomi,E-mail Address,E-mail 2 Address,E-mail 3 Address,Home Phone,Home Phone 2,Business Phone,Business Phone 2,Mobile Phone,Car Phone,Other Phone,Primary Phone,Pager,Business Fax,Home Fax,Other Fax,Company Main Phone,Callback,Radio Phone,Telex,TTY/TDD Phone,IMAddress,Job Title,Department,Company,Office Location,Manager's Name,Assistant's Name,Assistant's Phone,Company Yomi,Business Street,Business City,Business State,Business Postal Code,Business Country/Region,Home Street,Home City,Home State,Home Postal Code,Home Country/Region,Other Street,Other City,Other State,Other Postal Code,Other Country/Region,Personal Web Page,Spouse,Schools,Hobby,Location,Web Page,Birthday,Anniversary,Notes";
    let fields = headers.split(',').map(|header| match header {
        "First Name" => "Ana",
        "Last Name" => "Souza",
        "E-mail Address" => "ana@north.example",
        "Business Phone" => "030 1",
        "Business Phone 2" => "030 2",
        "Job Title" => "Pilot",
        "Title" => "Dr.",
        "Birthday" => "1/31/1970",
        "Anniversary" => "0/0/00",
        "Spouse" => "Ben",
        _ => "",
    });
    let content = format!("{headers}\r\n{}\r\n", fields.collect::<Vec<_>>().join(","));
    let read = Read::of(&content, "");
    assert_eq!(read.map(), "outlook");
    assert_eq!(
        shown(&read.entry("Ana Souza")),
        "ana@north.example mailbox [SMTP:ana@north.example] givenName=Ana,sn=Souza,telephoneNumber=030 1 030 2,title=Pilot"
    );
    let kept = Read::of(&content, "--private keep").entry("Ana Souza");
    assert_eq!(kept["details"]["birthday"], serde_json::json!(["1/31/1970"]));
    assert_eq!(kept["details"]["spouse"], serde_json::json!(["Ben"]));
    assert_eq!(
        kept["details"]["anniversary"],
        Value::Null,
        "what classic Outlook writes for no date"
    );
}

#[test]
fn google_contacts_are_read_by_their_old_and_new_columns() {
    let new = "First Name,Middle Name,Last Name,Phonetic First Name,Phonetic Middle Name,Phonetic Last Name,Name Prefix,Name Suffix,Nickname,File As,Organization Name,Organization Title,Organization Department,Birthday,Notes,Photo,Labels,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value\n\
        Ana,,Souza,,,,,,,,North,Pilot,Navigation,,,,* myContacts,* Work,ana@north.example ::: a2@north.example,Other,a3@north.example,Work,030 1 ::: 030 2,Mobile,0171\n";
    let old = "Name,Given Name,Additional Name,Family Name,Yomi Name,Given Name Yomi,Additional Name Yomi,Family Name Yomi,Name Prefix,Name Suffix,Initials,Nickname,Short Name,Maiden Name,Birthday,Gender,Location,Billing Information,Directory Server,Mileage,Occupation,Hobby,Sensitivity,Priority,Subject,Notes,Language,Photo,Group Membership,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Type,E-mail 2 - Value,Phone 1 - Type,Phone 1 - Value,Phone 2 - Type,Phone 2 - Value,Organization 1 - Type,Organization 1 - Name,Organization 1 - Yomi Name,Organization 1 - Title,Organization 1 - Department\n\
        Ana Souza,Ana,,Souza,,,,,,,,,,,,,,,,,,,,,,,,,* myContacts,* Work,ana@north.example ::: a2@north.example,Other,a3@north.example,Work,030 1 ::: 030 2,Mobile,0171,,North,,Pilot,Navigation\n";
    for content in [new, old] {
        let read = Read::of(content, "");
        assert_eq!(
            shown(&read.entry("Ana Souza")),
            "ana@north.example mailbox [SMTP:ana@north.example SMTP:a2@north.example SMTP:a3@north.example] \
             department=Navigation,givenName=Ana,mobile=0171,o=North,sn=Souza,telephoneNumber=030 1 030 2,title=Pilot"
        );
    }
}

#[test]
fn an_address_book_of_thunderbird_is_read() {
    let american = "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Screen Name,Work Phone,Home Phone,Fax Number,Pager Number,Mobile Number,Home Address,Home Address 2,Home City,Home State,Home ZipCode,Home Country,Work Address,Work Address 2,Work City,Work State,Work ZipCode,Work Country,Job Title,Department,Organization,Web Page 1,Web Page 2,Birth Year,Birth Month,Birth Day,Custom 1,Custom 2,Custom 3,Custom 4,Notes,";
    let british = american
        .replace("State", "County")
        .replace("ZipCode", "Post Code")
        .replace("Organization", "Organisation");
    for headers in [american, british.as_str()] {
        let row = "Ana,Souza,Ana Souza,,ana@north.example,a2@north.example,,030 1,030 7,030 9,,0171,,,,,,,Quay 1,,Kiel,SH,24103,Germany,Pilot,Navigation,North,,,1970,1,31,,,,,,";
        let file = format!("{headers}\r\n{row}\r\n");
        for options in ["--private keep", "--private keep --format thunderbird"] {
            let kept = Read::of(&file, options).entry("Ana Souza");
            assert_eq!(kept["details"]["homePhone"], serde_json::json!(["030 7"]), "{options}");
            assert_eq!(kept["details"]["birthday"], serde_json::json!(["1970-01-31"]), "{options}");
        }
        let named = Read::of(&file, "--format thunderbird").entry("Ana Souza");
        assert_eq!(named["details"]["homePhone"], Value::Null, "the home telephone is private");
        let read = Read::of(&file, "");
        assert_eq!(read.map(), "thunderbird");
        assert_eq!(
            shown(&read.entry("Ana Souza")),
            "ana@north.example mailbox [SMTP:ana@north.example SMTP:a2@north.example] co=Germany,\
             department=Navigation,facsimileTelephoneNumber=030 9,givenName=Ana,l=Kiel,mobile=0171,o=North,\
             postalCode=24103,sn=Souza,st=SH,street=Quay 1,telephoneNumber=030 1,title=Pilot"
        );
    }
}

/// Headers of Thunderbird's export (`exportAttributes` of its AddrBookUtils) in its own translations.
const THUNDERBIRD: [(&str, &str); 6] = [
    (
        "thunderbird-de",
        "Vorname,Nachname,Anzeigename,Spitzname,Primäre E-Mail-Adresse,Sekundäre E-Mail-Adresse,Messenger-Name,Tel. dienstlich,Tel. privat,Fax-Nummer,Pager-Nummer,Mobil-Tel.-Nr.,Privat: Adresse,Privat: Adresse 2,Privat: Ort,Privat: Bundesland,Privat: PLZ,Privat: Land,Dienstlich: Adresse,Dienstlich: Adresse 2,Dienstlich: Ort,Dienstlich: Bundesland,Dienstlich: PLZ,Dienstlich: Land,Arbeitstitel,Abteilung,Organisation,Webseite 1,Webseite 2,Geburtsjahr,Geburtsmonat,Geburtstag,Benutzerdef. 1,Benutzerdef. 2,Benutzerdef. 3,Benutzerdef. 4,Notizen",
    ),
    (
        "thunderbird-fr",
        "Prénom,Nom de famille,Nom à afficher,Surnom,Adresse e-mail principale,Adresse e-mail secondaire,Nom de l’écran,Tél. professionnel ,Tél. personnel,Fax,Pager,Portable,Adresse privée,Adresse privée 2,Ville,Pays/État,Code postal,Pays/Région (domicile),Adresse professionnelle,Adresse professionnelle 2,Ville,Pays/État,Code postal,Pays/Région (bureau),Profession,Service,Société,Site web 1,Site web 2,Année de naissance,Mois,Jour,Divers 1,Divers 2,Divers 3,Divers 4,Notes",
    ),
    (
        "thunderbird-es",
        "Nombre,Apellidos,Nombre mostrado,Apodo,Dirección de correo electrónico principal,Dirección de correo electrónico secundaria,Nombre en pantalla,Teléfono (Trabajo),Teléfono particular,Fax,Buscapersonas,Teléfono móvil,Dirección personal,Dirección personal 2,Ciudad donde vive,Provincia,Código postal,País de residencia,Dirección de trabajo,Dirección de trabajo 2,Ciudad (Trabajo),Provincia (Trabajo),Código postal (Trabajo),País (Trabajo),Puesto,Departamento,Organización,Página web 1,Página web 2,Año de nacimiento,Mes de nacimiento,Día de nacimiento,Personalizado 1,Personalizado 2,Personalizado 3,Personalizado 4,Notas",
    ),
    (
        "thunderbird-it",
        "Nome,Cognome,Nome visualizzato,Soprannome,Email primaria,Email secondaria,Nome Instant Messenger,Telefono lavoro,Telefono casa,Numero fax,Numero cercapersone,Numero cellulare,Indirizzo di casa,Indirizzo di casa 2,Città di residenza,Provincia di residenza,CAP di residenza,Nazione di residenza,Indirizzo di lavoro,Indirizzo di lavoro 2,Città di lavoro,Provincia di lavoro,CAP di lavoro,Nazione di lavoro,Qualifica,Reparto,Organizzazione,Pagina web 1,Pagina web 2,Anno di nascita,Mese di nascita,Giorno di nascita,Personalizzato 1,Personalizzato 2,Personalizzato 3,Personalizzato 4,Note",
    ),
    (
        "thunderbird-pt",
        "Nome,Apelido,Nome exibido,Nickname,Email primário,E-mail secundário,Nome a mostrar,Telefone profissional,Telefone de casa,Número de fax,Número de pager,Número de telemóvel,Endereço pessoal,Endereço pessoal 2,Naturalidade,Distrito,Código postal,Nacionalidade,Endereço profissional,Endereço profissional 2,Local de trabalho,Distrito do local de trabalho,Código postal do local de trabalho,País do local de trabalho,Profissão,Departamento,Organização,Página web 1,Página web 2,Ano de nascimento,Mês de nascimento,Dia de nascimento,Personalizado 1,Personalizado 2,Personalizado 3,Personalizado 4,Notas",
    ),
    (
        "thunderbird-pt-br",
        "Primeiro nome,Sobrenome,Nome de exibição,Apelido,Email principal,Email secundário,Nome de tela,Telefone comercial,Telefone residencial,Número do fax,Número do pager,Número do celular,Endereço,Endereço 2,Cidade,Estado,CEP,País,Endereço comercial,Endereço comercial 2,Cidade de trabalho,Estado de trabalho,CEP comercial,País de trabalho,Cargo,Setor,Organização,Página web 1,Página web 2,Ano de nascimento,Mês de nascimento,Data de nascimento,Personalizado 1,Personalizado 2,Personalizado 3,Personalizado 4,Notas",
    ),
];

#[test]
fn an_address_book_of_thunderbird_is_read_in_its_languages() {
    let row = "Ana,Souza,Ana Souza,,ana@north.example,a2@north.example,,030 1,030 7,030 9,,0171,Gasse 7,,Ulm,,,DE,Quay 1,,Kiel,SH,24103,Germany,Pilot,Navigation,North,,,1970,1,31,,,,,";
    for (map, headers) in THUNDERBIRD {
        let file = format!("{headers}\r\n{row}\r\n");
        let read = Read::of(&file, "");
        assert_eq!(read.map(), map, "{}{}", read.import.out, read.import.err);
        let said = &read.import.out;
        let private = "private things are left out: 1 home telephone, 1 home address, 1 birthday;";
        assert!(said.contains(private), "{map}: {said}");
        // In French, three columns of the home and of the office have one name.
        let (place, home) = match map {
            "thunderbird-fr" => ("", "Gasse 7$DE"),
            _ => ("l=Kiel,", "Gasse 7$Ulm$DE"),
        };
        let (code, state) =
            if place.is_empty() { ("", "") } else { ("postalCode=24103,", "st=SH,") };
        assert_eq!(
            shown(&read.entry("Ana Souza")),
            format!(
                "ana@north.example mailbox [SMTP:ana@north.example SMTP:a2@north.example] co=Germany,\
                 department=Navigation,facsimileTelephoneNumber=030 9,givenName=Ana,{place}mobile=0171,\
                 o=North,{code}sn=Souza,{state}street=Quay 1,telephoneNumber=030 1,title=Pilot"
            ),
            "{map}"
        );
        let kept = Read::of(&file, "--private keep").entry("Ana Souza");
        assert_eq!(kept["details"]["homePostalAddress"], serde_json::json!([home]), "{map}");
        assert_eq!(kept["details"]["birthday"], serde_json::json!(["1970-01-31"]), "{map}");
    }
}
