//! Who can open an archive, and what is said to who can't.

use super::*;

fn end(sealed: &[u8], unlock: &Unlock) -> Result<(), Error> {
    open(sealed, unlock).1
}

#[test]
fn each_recipient_opens_it_and_no_other() {
    let people: Vec<_> = (0..4).map(|_| Identity::generate()).collect();
    let sealed = seal(&to(&[&people[0], &people[1], &people[2]]), b"for three");
    for person in &people[..3] {
        end(&sealed, &with(person)).unwrap();
    }
    let error = end(&sealed, &with(&people[3])).unwrap_err();
    assert!(matches!(error, Error::WrongKey(WrongKey::Identities)) && error.is_wrong_key() && !error.is_damage());

    let mut several = with(&people[3]);
    several.identities.extend(with(&people[1]).identities);
    several.passphrase = Some(Passphrase::new("of another archive").unwrap());
    end(&sealed, &several).unwrap();
}

#[test]
fn a_passphrase_opens_it_and_no_other() {
    let recipients = Recipients::Passphrase(Passphrase::new("open sesame").unwrap(), cheap());
    let sealed = seal(&recipients, b"treasure");
    let (plaintext, result) = open(sealed.as_slice(), &with_passphrase("open sesame"));
    result.unwrap();
    assert_eq!(plaintext, b"treasure");
    let error = end(&sealed, &with_passphrase("open wheat")).unwrap_err();
    assert!(matches!(error, Error::WrongKey(WrongKey::Passphrase)) && error.is_wrong_key());
}

#[test]
fn says_what_is_needed() {
    let identity = Identity::generate();
    let by_passphrase = seal(&Recipients::Passphrase(Passphrase::new("open sesame").unwrap(), cheap()), b"");
    let by_key = seal(&to(&[&identity]), b"");
    for unlock in [with(&identity), Unlock::default()] {
        let error = end(&by_passphrase, &unlock).unwrap_err();
        assert!(matches!(error, Error::WrongKey(WrongKey::NeedsPassphrase)), "{error:?}");
        assert!(error.to_string().contains("passphrase") && error.is_wrong_key());
    }
    for unlock in [with_passphrase("open sesame"), Unlock::default()] {
        let error = end(&by_key, &unlock).unwrap_err();
        assert!(matches!(error, Error::WrongKey(WrongKey::NeedsIdentity)), "{error:?}");
        assert!(error.to_string().contains("AGE-SECRET-KEY-1") && error.is_wrong_key());
    }
}

#[test]
fn too_much_work_is_refused_even_with_the_right_passphrase() {
    let work = WorkFactor::new(12).unwrap();
    let sealed = seal(&Recipients::Passphrase(Passphrase::new("open sesame").unwrap(), work), b"");
    let mut unlock = with_passphrase("open sesame");
    unlock.max_work_factor = WorkFactor::new(10).unwrap();
    let error = end(&sealed, &unlock).unwrap_err();
    assert!(matches!(error, Error::ExcessiveWork { required: 12, max } if max == unlock.max_work_factor), "{error:?}");
    unlock.max_work_factor = work;
    end(&sealed, &unlock).unwrap();
}

/// 2⁶⁰ KiB would be the memory of one try: whoever computed first would not come to an end.
#[test]
fn work_is_refused_before_it_is_done() {
    let recipients = Recipients::Passphrase(Passphrase::new("open sesame").unwrap(), WorkFactor::new(10).unwrap());
    let mut sealed = seal(&recipients, b"");
    let place = sealed.windows(4).position(|bytes| bytes == b" 10\n").unwrap();
    sealed[place + 1..place + 3].copy_from_slice(b"60");
    let error = end(&sealed, &with_passphrase("open sesame")).unwrap_err();
    assert!(matches!(error, Error::ExcessiveWork { required: 60, max: WorkFactor::SERVICE_READ_MAX }), "{error:?}");
}

#[test]
fn nobody_and_too_many_are_refused() {
    let nobody = Recipients::Keys(Vec::new());
    assert!(matches!(Sealer::new(Vec::new(), &nobody), Err(Error::Unusable { .. })));
    let everybody = Recipients::keys(vec![Identity::generate().recipient(); 700]).unwrap();
    assert!(
        matches!(Sealer::new(Vec::new(), &everybody), Err(Error::Unusable { reason }) if reason.contains("too many"))
    );
    let many = Recipients::keys(vec![Identity::generate().recipient(); 600]).unwrap();
    assert!(Sealer::new(Vec::new(), &many).is_ok());
}
