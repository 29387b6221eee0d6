// The words a person sees and the tests steer by: when a page's wording changes, it changes here, once.

export const fields = {
  email: "E-mail",
  password: "Password",
  newPassword: "New password",
  newPasswordAgain: "New password again",
  name: "Name",
  yourName: "Your name",
  institutionName: "Institution name",
  kind: "Kind",
  domain: "Domain",
  country: "Country",
  website: "Website",
  timeZone: "Time zone",
  reason: "Reason",
  studentNumber: "Student number",
  studentName: "Name",
  admissionYear: "Admission year",
  csvFile: "CSV file",
};

export const buttons = {
  createSuperAdmin: "Create super admin",
  signIn: "Sign in",
  signOut: "Sign out",
  registerInstitution: "Register institution",
  approveInstitution: "Approve institution",
  suspendInstitution: "Suspend institution",
  reactivateInstitution: "Reactivate institution",
  addStudent: "Add student",
  saveStudent: "Save student",
  addAnother: "Add and start another",
  importStudents: "Import students",
  checkFile: "Check file",
  applyImport: /^Import \d+ (student|registration)s?$/,
  rejectInstitution: "Reject institution",
  sendInvitation: "Send invitation",
  acceptInvitation: "Accept invitation",
  sendLink: "Send link",
  setPassword: "Set password",
  changePassword: "Change password",
  editStudent: "Edit student",
  archive: "Archive students",
  undo: "Undo",
  saveSettings: "Save settings",
  exportCsv: "Export CSV",
  skipToContent: "Skip to the content",
};

// What a page says when something is so. Matched anywhere in the page, whatever the case.
export const says = {
  pending: /pending approval|waiting for approval|awaiting approval/i,
  active: /\bactive\b/i,
  suspended: /suspended/i,
  created: (count) => new RegExp(`To be added\\s+${count}\\b`, "i"),
  importDone: /^Imported /,
};
